"""One name whose requests several endpoints answer, each its share, in Cortex's words."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelyard.errors import Conflict
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

FILE = """
- name: one
  predictor: {path: word.py, config: {word: one}}
- name: two
  predictor: {path: word.py, config: {word: two}}
- name: both
  kind: TrafficSplitter
  apis: [{name: one, weight: 25}, {name: two, weight: 75}]
"""
WORD = """
class Predictor:
    def __init__(self, config):
        self.word = config["word"]

    def predict(self, payload):
        return self.word
"""
TARGET, INVOKED = "x-amzn-sagemaker-target-variant", "x-amzn-invoked-production-variant"


def test_each_member_answers_its_share_and_the_one_that_is_asked_for(yard: Yard, project: Callable[..., Path]) -> None:
    path = project(FILE)
    (path.parent / "word.py").write_text(WORD)
    client = yard.client()
    client.deploy(path)
    for name in ("one", "two"):
        client.wait_endpoint(name)

    def ask(**headers: str) -> httpx.Response:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{yard.url}/endpoints/both/invocations", json={}, headers=asked, timeout=30)

    eventually(lambda: ask().status_code == 200)
    answers = Counter(ask().json() for _ in range(200))
    assert answers == {"one": 50, "two": 150}
    chosen = [ask(**{TARGET: "one"}) for _ in range(5)]
    assert {(one.json(), one.headers[INVOKED]) for one in chosen} == {("one", "one")}
    assert ask(**{TARGET: "three"}).status_code == 404
    assert "traffic_splitter" in yard.command("get").stdout
    with pytest.raises(Conflict, match="traffic_splitter both sends requests to it"):
        client.delete_endpoint("one")
    assert yard.command("delete", "both").returncode == 0
    eventually(lambda: ask().status_code == 404)
    client.delete_endpoint("one")
