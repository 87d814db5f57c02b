"""Predictors of other people's making behind a real yard: SageMaker's archive, Cortex's tracker, a web application."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.acceptance.yard import Yard

pytestmark = pytest.mark.acceptance

INFERENCE = """
import joblib, os

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "iris.joblib"))

def output_fn(prediction, accept):
    return {"species": prediction.tolist()}
"""


def test_sagemakers_archive_deploys_as_it_is(yard: Yard, iris_model: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(INFERENCE)
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(iris_model, "iris.joblib")
        opened.add(tmp_path / "code", "code")
    client = yard.client()
    client.deploy(archive, name="iris")
    assert client.wait_endpoint("iris").state == "live"
    assert client.predict("iris", [[5.1, 3.5, 1.4, 0.2]]) == {"species": [0]}


TRACKED = """
class PythonPredictor:
    def __init__(self, config):
        self.names = config["names"]

    def predict(self, payload):
        return {"class": self.names[payload["n"]]}
"""


def test_cortexs_tracker_counts_in_the_metrics(yard: Yard, project: Callable[..., Path]) -> None:
    path = project(
        "- name: species\n  predictor: {type: python, path: predictor.py, config: {names: [a, b]}}\n"
        "  tracker: {key: class, model_type: classification}\n"
    )
    (path.parent / "predictor.py").write_text(TRACKED)
    client = yard.client()
    client.deploy(path)
    client.wait_endpoint("species")
    for number in (0, 1, 1):
        client.predict("species", {"n": number})
    key = {"authorization": f"Bearer {(yard.home / 'key').read_text().strip()}"}
    metrics = httpx.get(f"{client.url}/metrics", headers=key).text
    assert 'modelyard_predictions_total{endpoint="species",class="a"} 1' in metrics
    assert 'modelyard_predictions_total{endpoint="species",class="b"} 2' in metrics


APP = """
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()

class House(BaseModel):
    area: float

@app.post("/invocations")
async def predict(house: House):
    return {"price": house.area * 2}

@app.api_route("/houses/{name}", methods=["GET", "DELETE"])
async def show(name: str, color: str = "red"):
    return {"name": name, "color": color}

@app.get("/stream")
async def stream():
    return StreamingResponse((f"{number}\\n" for number in range(3)), media_type="text/plain")
"""


def test_every_path_of_a_web_application_reaches_it(yard: Yard, project: Callable[..., Path]) -> None:
    path = project("- name: houses\n  predictor: {path: main.py, app: app}\n- name: plain\n  predictor: {path: p.py}\n")
    (path.parent / "main.py").write_text(APP)
    (path.parent / "p.py").write_text("class Predictor:\n    def predict(self, payload):\n        return payload\n")
    client = yard.client()
    client.deploy(path)
    for name in ("houses", "plain"):
        assert client.wait_endpoint(name).state == "live"
    assert client.predict("houses", {"area": 70}) == {"price": 140.0}
    with httpx.Client(base_url=f"{client.url}/endpoints") as http:
        assert http.get("/houses/houses/a%20b?color=blue").json() == {"name": "a b", "color": "blue"}
        assert http.delete("/Houses/houses/x").json() == {"name": "x", "color": "red"}
        assert http.get("/houses/stream").text == "0\n1\n2\n"
        assert http.get("/houses/invocations").status_code == 405
        assert http.get("/houses/docs").headers["content-security-policy"].startswith("sandbox")
        assert http.get("/plain/anything").status_code == 404
        assert http.get("/plain/invocations").status_code == 405
        assert http.get("/nothing/anything").status_code == 404


TYPED = """
from pydantic import BaseModel

class House(BaseModel):
    area: float
    rooms: int = 3

class Price(BaseModel):
    price: float

class Predictor:
    def predict(self, payload: House) -> Price:
        return Price(price=payload.area)
"""


def test_an_endpoint_says_what_it_takes(yard: Yard, project: Callable[..., Path]) -> None:
    path = project("- name: typed\n  predictor: {path: predictor.py}\n")
    (path.parent / "predictor.py").write_text(TYPED)
    client = yard.client()
    client.deploy(path)
    assert client.wait_endpoint("typed").example == '{"area": 0.0}'
    key = {"authorization": f"Bearer {(yard.home / 'key').read_text().strip()}"}
    with httpx.Client(base_url=f"{client.url}/api/v1/endpoints/typed", headers=key) as http:
        assert http.get("/schema").json()["input"]["required"] == ["area"]
        document = http.get("/openapi.json").json()
    operation = document["paths"]["/invocations"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["rooms"]["default"] == 3
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["required"] == ["price"]
    assert document["servers"] == [{"url": f"{client.url}/endpoints/typed"}]
    assert client.predict("typed", {"area": 2}) == {"price": 2.0}
