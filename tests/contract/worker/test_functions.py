"""SageMaker's functions: any subset of them, with sagemaker-inference's defaults for the others."""

import io
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.contract.worker.replica_harness import Place, Template

ALL = """
import json, os

def model_fn(model_dir):
    return {"dir": os.path.basename(model_dir), "times": 2}

def input_fn(body, content_type):
    assert content_type == "application/json" and isinstance(body, str)
    return json.loads(body)

def predict_fn(data, model):
    return [one * model["times"] for one in data]

def output_fn(prediction, accept):
    return f"{accept}: {prediction}"
"""


@pytest.fixture
def ridge(place: Place) -> Path:
    path = place.root / "model.joblib"
    joblib.dump(Ridge(alpha=0.0).fit([[0.0], [1.0]], [0.0, 2.0]), path)
    return path


def test_all_four_functions_are_called_in_their_order(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ALL)) as replica:
        answer = replica.connect().ask([1, 2], accept="text/plain, */*;q=0.1")
        assert (answer.status, answer.body) == (200, b"text/plain: [2, 4]")
        assert answer.meta["type"] == "text/plain"


def test_what_is_left_out_is_done_as_sagemaker_does_it(place: Place, template: Template, ridge: Path) -> None:
    code = "def output_fn(prediction, accept):\n    return [round(one, 3) for one in prediction.tolist()]\n"
    with template.replica(place, place.package(code, model=ridge, framework="sklearn")) as replica:
        client = replica.connect()
        assert client.ask([[3.0]]).json == [6.0]
        assert client.ask(b"3\n4\n", "text/csv").json == [6.0, 8.0]
        target = io.BytesIO()
        np.save(target, np.array([[1.0]]))
        assert client.ask(target.getvalue(), "application/x-npy").json == [2.0]
        refused = client.ask(b"x", "application/pdf")
        assert (refused.status, refused.meta["error"]) == (415, "invalid_value")


def test_input_alone_is_enough(place: Place, template: Template, ridge: Path) -> None:
    code = "import numpy as np\ndef input_fn(body, content_type):\n    return np.array([[len(body)]])\n"
    with template.replica(place, place.package(code, model=ridge, framework="sklearn")) as replica:
        client = replica.connect()
        assert client.ask(b"abc", "image/x").json == pytest.approx([6.0])
        assert float(client.ask(b"abc", "image/x", accept="text/csv").body) == pytest.approx(6.0)


def test_a_transform_takes_the_place_of_the_last_three(place: Place, template: Template) -> None:
    code = """
def model_fn(model_dir, context):
    return context.system_properties["model_dir"]

def transform_fn(model, body, content_type, accept, context):
    return f"{content_type}|{body}|{context.get_request_header(0, 'X-A')}".encode(), "text/x-mine"
"""
    with template.replica(place, place.package(code)) as replica:
        client = replica.connect()
        assert client.hello["wants"] == ["headers", "query"]
        answer = client.ask(b"a,b", "text/csv", headers=[["X-A", "1"]])
        assert (answer.meta["type"], answer.body) == ("text/x-mine", b"text/csv|a,b|1")


def test_a_function_of_another_shape_is_refused_at_the_start(place: Place, template: Template) -> None:
    with template.replica(place, place.package("def predict_fn(data):\n    return 1\n")) as replica:
        assert "cannot call predict_fn: it must take 2 arguments" in replica.wait_for_exit()["reason"]


def test_a_file_with_nothing_to_serve_says_what_could_be_there(place: Place, template: Template) -> None:
    with template.replica(place, place.package("x = 1\n")) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert "cannot find the predictor class in predictor.py: it has no class" in reason
        assert "model_fn" in reason
