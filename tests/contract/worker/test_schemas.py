"""What a replica says that it serves: schemas of its hints, and an example that it can read."""

import json
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.linear_model import Ridge

from tests.contract.worker.replica_harness import Place, Template

PREDICTOR = """
import enum, typing
import numpy as np
import pydantic

class Kind(enum.Enum):
    HOUSE = "house"

class Address(pydantic.BaseModel):
    city: str
    floor: int = pydantic.Field(ge=1)

class House(pydantic.BaseModel):
    area: float
    kind: Kind
    address: Address
    note: typing.Optional[str] = None

class Price(pydantic.BaseModel):
    price: float

class Predictor:
    def {method}:
        return {value}
"""


@pytest.mark.parametrize(
    ("method", "value", "example"),
    [
        (
            "predict(self, payload: House) -> Price",
            "Price(price=payload.area)",
            {"area": 0.0, "kind": "house", "address": {"city": "", "floor": 1}},
        ),
        ("predict(self, payload: typing.List[float])", "payload", [0.0]),
        ("predict_batch(self, payloads: typing.List[Address])", "payloads", {"city": "", "floor": 1}),
    ],
)
def test_the_example_is_a_body_that_the_predictor_reads(
    place: Place, template: Template, method: str, value: str, example: Any
) -> None:
    with template.replica(place, place.package(PREDICTOR.replace("{method}", method).replace("{value}", value))) as one:
        client = one.connect()
        assert client.describe()["example"] == example
        assert client.ask(example).status == 200


def test_schemas_are_those_of_the_models(place: Place, template: Template) -> None:
    code = PREDICTOR.replace("{method}", "predict(self, payload: House) -> Price").replace("{value}", "None")
    with template.replica(place, place.package(code)) as replica:
        described = replica.connect().describe()
        assert described["input"]["properties"]["area"]["type"] == "number"
        assert described["output"]["required"] == ["price"]
        assert described["content_types"] == ["application/json"]


def test_a_bare_models_example_is_a_row_of_its_width(place: Place, template: Template) -> None:
    path: Path = place.root / "model.joblib"
    joblib.dump(Ridge().fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 2.0]), path)
    with template.replica(place, place.package(model=path, framework="sklearn")) as replica:
        client = replica.connect()
        described = client.describe()
        assert described["example"] == [[0.0, 0.0]]
        assert described["input"]["items"]["minItems"] == 2
        assert client.ask(described["example"]).status == 200


def test_a_web_application_is_described_by_itself(place: Place, template: Template) -> None:
    code = "async def app(scope, receive, send): ...\napp.openapi = lambda: {'openapi': '3.1.0', 'paths': {}}\n"
    with template.replica(place, place.package(code)) as replica:
        described = replica.connect().describe()
        assert (described["web_app"], described["openapi"]["openapi"]) == (True, "3.1.0")


def test_a_description_that_is_too_long_leaves_its_schemas_out(place: Place, template: Template) -> None:
    code = "import typing, pydantic\nclass Big(pydantic.BaseModel):\n"
    code += "".join(f"    field_{number}: typing.Optional[int] = None\n" for number in range(2000))
    code += "class Predictor:\n    def predict(self, payload: Big):\n        return 1\n"
    with template.replica(place, place.package(code)) as replica:
        client = replica.connect()
        assert len(json.dumps(client.describe())) < 1000
        assert client.ask({}).json == 1
