"""Trainings and transforms read and write a store that speaks S3 and checks every signature."""

import gzip
import json
import urllib.error
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from modelyard_worker.object_store import PART_BYTES, ObjectStore, parse_place
from sklearn.dummy import DummyRegressor

from modelyard.errors import NotFound
from tests.acceptance.yard import Yard, eventually
from tests.guests.s3.conftest import BUCKET

PREDICTOR = """
class Predictor:
    def __init__(self, config): pass
    def predict(self, payload): return payload["x"] + 1
"""
LISTS = """
import json

class Predictor:
    def __init__(self, config):
        self.told = config["told"]

    def tell(self, what):
        with open(self.told, "a") as file:
            file.write(json.dumps(what) + chr(10))

    def predict(self, payload):
        self.tell(payload)

    def on_job_complete(self):
        self.tell("complete")
"""
TRAIN = """
import os, pathlib
for place in sorted(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*.csv")):
    print(place.name, place.read_text().strip())
"""


def put(store: ObjectStore, folder: Path, key: str, content: bytes) -> str:
    file = folder / "content"
    file.write_bytes(content)
    store.put(str(file), parse_place(f"s3://{BUCKET}/{key}"))
    return f"s3://{BUCKET}/{key}"


def read(store: ObjectStore, url: str) -> bytes:
    with store.open("GET", parse_place(url)) as answer:
        return answer.read()


def test_objects_are_written_found_and_read_whatever_they_are_called(store: ObjectStore, tmp_path: Path) -> None:
    names = ["plain.csv", "a b+c=d&e.csv", "\u00fcber/\u65e5\u672c.csv", "x~y'(1)!.csv"]
    for name in names:
        put(store, tmp_path, f"names/{name}", name.encode())
    found = list(store.find(parse_place(f"s3://{BUCKET}/names/")))
    assert sorted(one.place.key for one in found) == sorted(f"names/{name}" for name in names)
    assert [read(store, one.place.url).decode() for one in found] == [one.place.key[len("names/") :] for one in found]


def test_a_large_object_goes_in_parts_and_comes_back_whole(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * ((2 * PART_BYTES + 12345) // 256)
    assert read(store, put(store, tmp_path, "large", content)) == content


def test_a_wrong_key_is_refused_and_shown_to_nobody(s3: dict[str, str], store: ObjectStore, tmp_path: Path) -> None:
    url = put(store, tmp_path, "mine", b"1")
    stranger = ObjectStore({**s3, "AWS_SECRET_ACCESS_KEY": "wrong-secret"})
    with pytest.raises(urllib.error.HTTPError) as refused, stranger.open("GET", parse_place(url)):
        pass
    assert refused.value.code == 403
    assert "wrong-secret" not in f"{refused.value} {refused.value.headers}"


def test_a_training_reads_what_begins_with_a_prefix(yard: Yard, store: ObjectStore, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        put(store, tmp_path, f"train/{name}", f"{name[0]},1".encode())
    (tmp_path / "train.py").write_text(TRAIN)
    file = tmp_path / "modelyard.yaml"
    file.write_text(f"- name: fit\n  kind: training\n  entry: train.py\n  inputs: {{train: s3://{BUCKET}/train}}\n")
    done = yard.command("train", "--file", str(file), "-o", "json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["sources"] == {"train": f"s3://{BUCKET}/train"}
    assert {"a.csv a,1", "b.csv b,1"} <= {line.strip() for line in yard.client().run_logs(view["id"])}
    file.write_text(file.read_text().replace("/train}", "/gone}"))
    refused = yard.command("train", "--file", str(file))
    assert "cannot find s3://houses/gone: no object's key begins so" in refused.stderr


def test_a_transform_scores_a_prefix_into_another(yard: Yard, store: ObjectStore, tmp_path: Path) -> None:
    rows = "".join(f'{{"x": {number}}}\n' for number in range(1000)).encode()
    put(store, tmp_path, "rows/2030/a.jsonl", rows)
    put(store, tmp_path, "rows/b.jsonl.gz", gzip.compress(rows))
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    (tmp_path / "modelyard.yaml").write_text(
        f"- name: plus\n  kind: batch\n  predictor: {{path: predictor.py}}\n"
        f"  input: s3://{BUCKET}/rows/\n  output: s3://{BUCKET}/out/\n"
    )
    yard.client().deploy(tmp_path, project="shop")
    started = yard.client().start("batch", "plus")
    ended = yard.client().wait_transform(started["id"], limit_seconds=60)
    assert ended.status == "Completed", ended.failure_reason
    expected = "".join(f"{number + 1}\n" for number in range(1000))
    for name in ("2030/a.jsonl.out", "b.jsonl.gz.out"):
        assert read(store, f"s3://{BUCKET}/out/{name}").decode() == expected
    assert not list((yard.home / "transforms" / started["id"]).glob("parts/*"))


def test_a_job_lists_files_or_reads_their_lines_as_cortexs_batch_api_does(
    yard: Yard, store: ObjectStore, tmp_path: Path
) -> None:
    for name in ("a.jsonl", "b.jsonl", "skipped.jsonl", "deeper/c.jsonl", "notes.txt"):
        put(store, tmp_path, f"jobs/{name}", f'"{name} 1"\n"{name} 2"\n'.encode())
    (tmp_path / "predictor.py").write_text(LISTS)
    (tmp_path / "modelyard.yaml").write_text("- {name: lists, kind: batch, predictor: {path: predictor.py}}\n")
    yard.client().deploy(tmp_path, project="shop")
    base = f"s3://{BUCKET}/jobs/"
    lister = {"s3_paths": [base], "includes": [f"{base}*.jsonl"], "excludes": ["**/skipped.*"], "batch_size": 2}
    paths = submit(yard, {"workers": 1, "file_path_lister": lister})
    assert paths == [[f"{base}a.jsonl", f"{base}b.jsonl"], "complete"]
    dry = ask(yard, "POST", json={"workers": 1, "file_path_lister": lister}, params={"dryRun": "true"})
    assert dry["s3_paths"] == [f"{base}a.jsonl", f"{base}b.jsonl"]
    lines = submit(yard, {"workers": 1, "delimited_files": {**lister, "includes": ["**.jsonl"], "batch_size": 5}})
    assert lines == [
        ["a.jsonl 1", "a.jsonl 2", "b.jsonl 1", "b.jsonl 2", "deeper/c.jsonl 1"],
        ["deeper/c.jsonl 2"],
        "complete",
    ]


def ask(yard: Yard, method: str, **request: Any) -> Any:
    headers = {"x-api-key": yard.key}
    answer = httpx.request(method, f"{yard.url}/api/v1/batches/lists/jobs", headers=headers, timeout=30, **request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def submit(yard: Yard, job: dict[str, Any]) -> list[Any]:
    """What the predictor was called with, and that it was told of the end."""
    told = yard.home / "told"
    told.unlink(missing_ok=True)
    taken = ask(yard, "POST", json={**job, "config": {"told": str(told)}})
    status = eventually(
        lambda: (found := ask(yard, "GET", params={"jobID": taken["job_id"]})["job_status"])["end_time"] and found
    )
    assert status["status"] == "succeeded", status
    return [json.loads(line) for line in told.read_text().splitlines()]


def test_a_transform_whose_store_is_not_to_be_written_says_so(yard: Yard, store: ObjectStore, tmp_path: Path) -> None:
    put(store, tmp_path, "one/a.jsonl", b'{"x": 1}\n')
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    (tmp_path / "modelyard.yaml").write_text("- name: once\n  predictor: {path: predictor.py}\n")
    yard.client().deploy(tmp_path, project="shop")
    view = yard.client().transform("endpoint/once", f"s3://{BUCKET}/one/", "s3://no-such-bucket/out", project="shop")
    ended = yard.client().wait_transform(view.id, limit_seconds=60)
    assert ended.status == "Failed"
    assert "the server answered with status 404 (s3://no-such-bucket/out/a.jsonl.out)" in str(ended.failure_reason)


def scraped(yard: Yard) -> str:
    return httpx.get(f"{yard.url}/metrics", headers={"x-api-key": yard.key}, timeout=15).text


def put_model(store: ObjectStore, folder: Path, key: str, value: float) -> None:
    joblib.dump(DummyRegressor(strategy="constant", constant=value).fit(np.array([[0.0]]), [0.0]), folder / "model")
    put(store, folder, key, (folder / "model").read_bytes())


def test_an_endpoint_serves_the_models_of_a_prefix_and_follows_it(
    yard: Yard, store: ObjectStore, tmp_path: Path
) -> None:
    put_model(store, tmp_path, "prices/rome.joblib", 1.0)
    put_model(store, tmp_path, "prices/eu/paris/3/model.joblib", 3.0)
    (tmp_path / "modelyard.yaml").write_text(
        f"- name: prices\n  models: {{dir: s3://{BUCKET}/prices, cache_size: 1}}\n"
    )
    client = yard.client()
    client.deploy(tmp_path, project="shop")
    client.wait_endpoint("prices", limit_seconds=60)

    def ask(model: str) -> object:
        return client.predict("prices", [[0.0]], model=model)

    assert (ask("rome"), ask("eu/paris")) == ([1.0], [3.0])
    with pytest.raises(NotFound, match="there is no model tokyo"):
        ask("tokyo")
    put_model(store, tmp_path, "prices/eu/paris/4/model.joblib", 4.0)
    put_model(store, tmp_path, "prices/rome.joblib", 2.0)
    eventually(lambda: ask("rome") == [2.0] and ask("eu/paris") == [4.0], saying="what changed is served")
    with store.open("DELETE", parse_place(f"s3://{BUCKET}/prices/rome.joblib")):
        pass

    def is_gone() -> bool:
        try:
            ask("rome")
        except NotFound:
            return True
        return False

    eventually(is_gone, saying="what vanished is gone")
    evictions = 'modelyard_model_evictions_total{endpoint="prices",version="1"'
    assert any(line.startswith(evictions) for line in scraped(yard).splitlines())
