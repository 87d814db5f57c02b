"""One name whose requests several endpoints answer, each its share, in Cortex's words."""

import re
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


@pytest.mark.long
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


VARIANTS = """
- name: price
  predictor: {path: word.py, config: {word: one}}
  autoscaling: {min_replicas: 1, max_replicas: 1}
  variants:
    - {name: champion, weight: 3}
    - {name: challenger, weight: 1, predictor: {config: {word: two}}}
"""


def test_variants_of_an_endpoint_are_one_name_to_everybody(yard: Yard, project: Callable[..., Path]) -> None:
    path = project(VARIANTS, word__py=WORD)
    client = yard.client()
    deployed = yard.command("deploy", str(path))
    assert deployed.returncode == 0, deployed.stderr
    predict = f"{yard.url}/endpoints/price/invocations"
    eventually(lambda: httpx.post(predict, json={}).status_code == 200)
    answers = [httpx.post(predict, json={}) for _ in range(40)]
    assert Counter((one.json(), one.headers[INVOKED]) for one in answers) == {
        ("one", "champion"): 30,
        ("two", "challenger"): 10,
    }
    assert client.predict("price", {}, variant="challenger") == "two"
    assert yard.command("predict", "price", "{}", "--variant", "challenger").stdout.strip() == "two"
    shown = yard.command("get", "price").stdout
    assert re.search(r"champion +price-champion +75 % +live +1/1", shown)
    assert "name one of them: price-champion, price-challenger" in yard.command("history", "price").stderr
    # Cortex's short path, SageMaker's stream, and the Open Inference Protocol with variants as versions.
    assert httpx.post(f"{yard.url}/price", json={}).json() in ("one", "two")
    stream = httpx.post(f"{predict}-response-stream", json={}, headers={TARGET: "champion"})
    assert (stream.status_code, b"one" in stream.content) == (200, True)
    models = f"{yard.url}/v2/models/price"
    assert httpx.get(f"{models}/ready").status_code == 200
    assert httpx.get(f"{models}/versions/challenger/ready").status_code == 200
    assert httpx.get(f"{models}/versions/other/ready").status_code == 400
    assert httpx.get(models).json()["versions"] == ["champion", "challenger"]
    tensor = {"name": "payload", "shape": [1], "datatype": "FP64", "data": [1.0]}
    infer = httpx.post(f"{models}/versions/challenger/infer", json={"inputs": [tensor]})
    assert (infer.status_code, infer.headers[INVOKED]) == (200, "challenger")
    # Queued: whose turn it is depends on the id alone, so that a repetition goes to the same.
    queue = f"{yard.url}/endpoints/price/async-invocations"
    assert httpx.put(f"{queue}/mine", json={}, headers={TARGET: "challenger"}).status_code == 202
    eventually(lambda: client.invocation_result("price", "mine") == "two")
    assert httpx.post(queue, json={}).status_code == 202
    metrics = httpx.get(f"{yard.url}/metrics", headers={"x-api-key": yard.key}).text
    assert 'modelyard_requests_total{endpoint="price",variant="challenger",version="1",status="200"}' in metrics
    # A variant that the file has no more goes; then all of it.
    path.write_text(VARIANTS.replace("    - {name: challenger, weight: 1, predictor: {config: {word: two}}}\n", ""))
    assert "deleting price-challenger (endpoint)" in yard.command("deploy", str(path)).stdout
    eventually(lambda: {httpx.post(predict, json={}).json() for _ in range(4)} == {"one"})
    assert "and with it price-champion" in yard.command("delete", "price").stdout
    eventually(lambda: client.endpoints() == [] and client.resources() == [])
