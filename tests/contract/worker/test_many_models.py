"""Many models behind one replica: bare files, SageMaker's functions, a predictor class that asks for them."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.dummy import DummyRegressor

from tests.contract.worker.replica_harness import Place

ROWS = [[0.0], [1.0]]


def put_model(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(DummyRegressor(strategy="constant", constant=value).fit(np.array(ROWS), [0.0, 1.0]), path)


def order_for(folder: Path, **more: Any) -> dict[str, Any]:
    return {"models": {"dir": str(folder), "paths": {}, **more}}


def test_each_request_is_answered_by_the_model_that_it_names(place: Place, tmp_path: Path) -> None:
    put_model(tmp_path / "one.joblib", 1.0)
    put_model(tmp_path / "two" / "7" / "model.joblib", 7.0)
    put_model(tmp_path / "two" / "8" / "model.joblib", 8.0)
    with place.replica(place.package(), **order_for(tmp_path, cache_size=2)) as replica:
        client = replica.connect()
        assert client.probe() == {"ok": True}
        asked = [("one", ""), ("two", ""), ("two", "7"), ("two/8", ""), ("one", "")]
        found = [client.ask(ROWS, model=name, model_version=version).json for name, version in asked]
        assert found == [[1.0, 1.0], [8.0, 8.0], [7.0, 7.0], [8.0, 8.0], [1.0, 1.0]]
        assert client.describe()["models"] == ["one", "two"]
        assert "model one is let go of" in replica.output


def test_requests_for_several_models_are_batched_each_with_its_own(place: Place, tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("two", 2.0)):
        put_model(tmp_path / f"{name}.joblib", value)
    with place.replica(place.package(), **order_for(tmp_path)) as replica:
        client = replica.connect()
        streams = [client.request(b"[[0.0]]", model=name) for name in ("one", "two", "one", "two", "none")]
        answers = client.answers(streams)
        assert [answers[one].json for one in streams[:4]] == [[1.0], [2.0], [1.0], [2.0]]
        refused = answers[streams[4]].meta
        assert (refused["error"], refused["status"]) == ("not_found", 0)
        assert "there is no model none" in refused["message"]


def test_a_model_that_was_put_there_later_is_served(place: Place, tmp_path: Path) -> None:
    with place.replica(place.package(), **order_for(tmp_path)) as replica:
        client = replica.connect()
        assert client.probe() == {"ok": True}
        assert client.ask(ROWS, model="late").meta["error"] == "not_found"
        put_model(tmp_path / "late.joblib", 3.0)
        assert client.ask(ROWS, model="late").json == [3.0, 3.0]
        assert client.ask(ROWS).meta["error"] == "invalid_value"


def test_model_fn_makes_each_model_of_its_folder(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "factor.txt").write_text("3")
    code = """
from pathlib import Path

def model_fn(model_dir):
    return float(Path(model_dir, "factor.txt").read_text())

def predict_fn(data, model):
    return data * model
"""
    with place.replica(place.package(code), **order_for(tmp_path)) as replica:
        assert replica.connect().ask([2.0], model="a").json == [6.0]


def test_a_predictor_class_asks_for_models_as_with_cortex(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a" / "3").mkdir(parents=True)
    (tmp_path / "a" / "3" / "text").write_text("three")
    code = """
import os

class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, model_path):
        return open(os.path.join(model_path, "text")).read()

    def predict(self, payload, query_params, context):
        model = self.client.get_model(query_params["model"], query_params.get("version", "latest"))
        return [model, context.model, self.client.get_model(), self.client.names()]
"""
    with place.replica(place.package(code), **order_for(tmp_path)) as replica:
        client = replica.connect()
        assert client.ask(None, model="a", query="model=a&version=3").json == ["three", "a", "three", ["a"]]
        assert client.ask(None, query="model=a&version=4").meta["error"] == "not_found"
