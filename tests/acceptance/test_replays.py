"""A candidate answers captured requests before it takes any: what it would have said, side by side."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelyard.errors import NotFound, StartFailed
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

FILE = """
- name: price
  predictor: {path: price.py, config: {factor: 2}}
  autoscaling: {min_replicas: 1, max_replicas: 1}
  capture: {sample: 1}
"""
PREDICTOR = """
class Predictor:
    def __init__(self, config):
        self.factor = config["factor"]

    def predict(self, payload):
        if "parts" in payload:
            return self.parts(payload["parts"])
        if "raise" in payload and self.factor == 3:
            raise ValueError("no")
        return {"price": payload.get("area", 0) * self.factor, "currency": "EUR"}

    def parts(self, parts):
        yield from parts
"""


@pytest.mark.long
def test_a_replay_tells_what_a_candidate_answers_otherwise_and_leaves_nothing(
    yard: Yard, project: Callable[..., Path]
) -> None:
    path = project(FILE, price__py=PREDICTOR)
    client = yard.client()
    client.deploy(path)
    client.wait_endpoint("price")
    predict = f"{yard.url}/endpoints/price/invocations"
    for area in range(20):
        assert httpx.post(predict, json={"area": area}).json()["price"] == 2 * area
    httpx.post(predict, json={"raise": True})
    httpx.post(predict, json={"parts": ["a", "b"]})
    eventually(lambda: len(list(client.captured("price"))) == 22, saying="everything is captured, streams too")

    assert client.replay("price", "v1", concurrency=4).different == 0
    other = path.with_name("candidate.yaml")
    other.write_text(FILE.replace("factor: 2", "factor: 3"))
    report = client.replay("price", str(other))
    assert (report.requests, report.same, report.different, report.failed, report.skipped) == (22, 2, 20, 1, 0)
    assert [(one.field, one.requests, one.distance) for one in report.fields] == [
        ("price", 19, 19),
        ("status", 1, None),
    ]
    assert report.samples[0].fields[0].field in ("price", "status")
    assert set(report.candidate_seconds) == set(report.captured_seconds) == {"p50", "p90", "p99", "max"}
    assert client.replay("price", str(other), ignore=["price"]).different == 1

    said = yard.command("replay", "price", "--against", str(other), "--limit", "5")
    assert said.returncode == 1, said.stderr
    assert "5 captured requests of price version 1 against price" in said.stdout
    said = yard.command("replay", "price", "--against", "v1", "-o", "json")
    assert json.loads(said.stdout)["same"] == 22

    (path.with_name("price.py")).write_text("raise RuntimeError('no module')\n")
    with pytest.raises(StartFailed, match="no module"):
        client.replay("price", str(other))
    with pytest.raises(NotFound, match="cannot find version 7"):
        client.replay("price", "v7")
    with pytest.raises(NotFound, match="no captured requests of that time"):
        client.replay("price", "v1", since="0.001s")
    eventually(lambda: [one.name for one in client.endpoints()] == ["price"], saying="no candidate is left")
