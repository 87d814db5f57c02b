"""Batch transform as SageMaker documents it, over real files and processes."""

import gzip
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.transform import chunks
from modelyard_worker.transform.objects import find_objects, format_of
from modelyard_worker.transform.plan import TransformPlan

from tests.contract.worker.transforms import Place

ECHO = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: bytes):
        return payload
"""

COUNTS_BYTES = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: bytes):
        return len(payload)
"""

SLOW = """
import time

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        time.sleep(0.002)
        return payload["x"]
"""

PICKY = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        if payload["x"] == 17:
            raise ValueError("seventeen is not served")
        return payload["x"]
"""

SUMS = """
import numpy as np

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: np.ndarray):
        return payload.sum(axis=1)
"""

FRAGILE = """
import os

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        if payload["x"] == 3 and not os.path.exists("died"):
            open("died", "w").close()
            os._exit(9)
        return payload["x"]
"""


LINE_BY_LINE: dict[str, Any] = {"strategy": "SingleRecord", "content_type": "application/json", "split": "Line"}
"""Each line of JSON Lines as one request of JSON."""


def numbers(count: int) -> str:
    return "".join(f'{{"x": {number}}}\n' for number in range(count))


def doubled(count: int) -> str:
    return "".join(f"{2 * number}\n" for number in range(count))


def test_each_file_of_a_folder_has_an_output_of_its_name_with_the_same_order(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("a.jsonl", numbers(5000))
    place.write("deep/b.jsonl", numbers(3))
    place.write("empty.jsonl", "")
    assert place.run() == 0, place.said
    assert place.outputs() == ["a.jsonl.out", "deep/b.jsonl.out", "empty.jsonl.out"]
    assert place.read("a.jsonl.out") == doubled(5000)
    assert place.read("deep/b.jsonl.out") == doubled(3)
    assert place.read("empty.jsonl.out") == ""
    assert place.result["records"] == 5003
    assert place.progress["objects_done"] == 3


def test_what_lies_in_the_input_and_was_put_out_is_not_scored(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("rows.jsonl", numbers(3))
    for job in ("out/1", "out/2"):
        assert place.run(output=str(place.input / job)) == 0, place.said
        assert place.result["objects"] == 1
        shutil.rmtree(place.base)
        place.base.mkdir()
    assert sorted(one.name for one in (place.input / "out").rglob("*.out")) == ["rows.jsonl.out"] * 2


def test_a_single_file_is_named_after_itself(tmp_path: Path) -> None:
    place = Place(tmp_path)
    file = place.write("rows.jsonl", numbers(3))
    assert place.run(input=str(file)) == 0, place.said
    assert place.outputs() == ["rows.jsonl.out"]


def test_a_header_and_what_is_packed_count_in_how_far_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS)
    place.write("a.csv", "x,y\n1,2\n")
    place.write("b.csv.gz", gzip.compress(b"x,y\n1,2\n"))
    assert place.run(csv_header="Skip") == 0, place.said
    assert place.progress["bytes"] == place.progress["bytes_total"] > 0
    whole = Place(tmp_path / "whole", ECHO)
    whole.write("c.bin.gz", gzip.compress(b"as it is"))
    assert whole.run(split="None") == 0, whole.said
    assert whole.progress["bytes"] == whole.progress["bytes_total"] > 0


def test_a_first_line_of_names_is_refused_with_what_leaves_it_out(tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS)
    place.write("a.csv", "x,y\n1,2\n")
    assert place.run() == 1
    assert "--header Skip" in place.result["failed"][0]["reason"]
    place.write("a.csv", "1,2\nx,y\n")
    shutil.rmtree(place.base)
    place.base.mkdir()
    assert place.run() == 1
    assert "--header Skip" not in place.result["failed"][0]["reason"]


def test_without_a_split_an_object_is_one_request(tmp_path: Path) -> None:
    place = Place(tmp_path, COUNTS_BYTES)
    place.write("one.bin", b"\0" * 1000)
    place.write("two.csv", "1,2\n3,4\n")
    assert place.run(split="None") == 0, place.said
    assert (place.read("one.bin.out"), place.read("two.csv.out")) == ("1000", "8")


def test_an_object_over_the_payload_limit_fails_alone_and_the_others_stay(tmp_path: Path) -> None:
    place = Place(tmp_path, COUNTS_BYTES)
    place.write("large.bin", b"\0" * (2 * 2**20))
    place.write("small.bin", b"\0" * 10)
    assert place.run(split="None", max_payload_mb=1) == 1
    assert place.outputs() == ["small.bin.out"]
    assert "max_payload_mb" in place.result["failed"][0]["reason"]
    assert "1 of 2 objects failed" in (place.base / "output" / "failure").read_text()


def test_multi_record_sends_as_many_lines_as_fit_and_single_record_one(tmp_path: Path) -> None:
    place = Place(tmp_path, COUNTS_BYTES)
    place.write("rows.csv", "1,2\n" * 1000)
    assert place.run(strategy="MultiRecord", accept="text/csv", max_payload_mb=1024 / 2**20) == 0, place.said
    assert place.read("rows.csv.out") == "1024\n1024\n1024\n928\n"
    other = Place(tmp_path / "other", COUNTS_BYTES)
    other.write("rows.csv", "1,2\n" * 1000)
    assert other.run(strategy="SingleRecord", accept="text/csv") == 0, other.said
    assert other.read("rows.csv.out") == "3\n" * 1000


def test_assembled_with_nothing_answers_stand_side_by_side(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("rows.jsonl", numbers(4))
    assert place.run(strategy="SingleRecord", content_type="application/json", split="Line", assemble="None") == 0
    assert place.read("rows.jsonl.out") == "0246"


def test_empty_lines_and_carriage_returns_are_no_records(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("rows.jsonl", '{"x": 1}\r\n\r\n{"x": 2}\r\n\n{"x": 3}')
    assert place.run() == 0, place.said
    assert place.read("rows.jsonl.out") == "2\n4\n6\n"


def test_gzip_is_unpacked_also_in_several_members(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("rows.jsonl.gz", gzip.compress(numbers(2000).encode()) + gzip.compress(numbers(3).encode()))
    place.write("broken.jsonl.gz", gzip.compress(numbers(2000).encode())[:-20])
    assert place.run() == 1
    assert place.read("rows.jsonl.gz.out") == doubled(2000) + doubled(3)
    assert place.outputs() == ["rows.jsonl.gz.out"]
    assert "cut short" in place.result["failed"][0]["reason"]


def test_csv_is_filtered_joined_and_filtered_again(tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS)
    place.write("rows.csv", 'id-1,1,2\n"id,2",3,4.50\n')
    assert place.run(input_filter="$[1:]", join="Input") == 0, place.said
    assert place.read("rows.csv.out") == 'id-1,1,2,3.0\n"id,2",3,4.50,7.5\n'
    other = Place(tmp_path / "other", SUMS)
    other.write("rows.csv", "id-1,1,2\nid-2,3,4\n")
    assert other.run(input_filter="$[1:]", join="Input", output_filter="$[0,-1]") == 0, other.said
    assert other.read("rows.csv.out") == "id-1,3.0\nid-2,7.0\n"


def test_json_objects_gain_a_field_and_other_values_become_an_object(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("rows.jsonl", '{"id": 1, "in": {"x": 4}}\n')
    assert place.run(input_filter="$.in", join="Input") == 0, place.said
    assert json.loads(place.read("rows.jsonl.out")) == {"id": 1, "in": {"x": 4}, "SageMakerOutput": 8}
    other = Place(tmp_path / "other")
    other.write("rows.jsonl", '[{"x": 4}]\n')
    assert other.run(input_filter="$[0]", join="Input") == 0, other.said
    assert json.loads(other.read("rows.jsonl.out")) == {"SageMakerInput": [{"x": 4}], "SageMakerOutput": 8}


def test_a_header_is_skipped_or_stands_before_every_request(tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS)
    place.write("rows.csv", "a,b\n1,2\n3,4\n")
    assert place.run(csv_header="Skip") == 0, place.said
    assert place.read("rows.csv.out") == "3.0\n7.0\n"
    other = Place(tmp_path / "other", ECHO)
    other.write("rows.csv", "a,b\n1,2\n3,4\n")
    assert other.run(csv_header="Repeat", strategy="SingleRecord", accept="*/*") == 0, other.said
    assert other.read("rows.csv.out") == "a,b\n1,2\na,b\n3,4\n"


def test_a_script_that_raises_on_one_row_fails_that_object_and_names_the_row(tmp_path: Path) -> None:
    place = Place(tmp_path, PICKY)
    place.write("bad.jsonl", numbers(3000))
    place.write("good.jsonl", numbers(10))
    assert place.run() == 1
    assert place.outputs() == ["good.jsonl.out"]
    assert place.result["failed"] == [
        {"name": "bad.jsonl", "reason": "cannot score bad.jsonl, record 18: ValueError: seventeen is not served"}
    ]


def test_a_table_with_one_bad_row_names_that_row(tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS)
    place.write("rows.csv", "1,2\n" * 700 + "1,x\n" + "1,2\n" * 700)
    assert place.run() == 1
    assert "record 701" in place.result["failed"][0]["reason"]


def test_a_process_that_dies_is_replaced_and_its_piece_tried_again(tmp_path: Path) -> None:
    place = Place(tmp_path, FRAGILE)
    place.write("rows.jsonl", numbers(100))
    assert place.run(retries=1) == 0, place.said
    assert place.read("rows.jsonl.out") == "".join(f"{number}\n" for number in range(100))


def test_a_predictor_may_ask_which_object_and_which_job_a_request_is_of(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload, headers):
        return [headers["x-object-name"], headers["x-cortex-job-id"]]
""",
    )
    place.write("rows.jsonl", numbers(1))
    assert place.run() == 0, place.said
    assert json.loads(place.read("rows.jsonl.out")) == ["rows.jsonl", "t-1"]


def test_a_model_with_several_outputs_answers_a_row_of_them_for_each_row(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.serve_classifier(1.0, -1.0)
    place.write("rows.csv", "1,1\n0,9\n")
    place.write("rows.jsonl", "[1,1]\n[9,0]\n")
    assert place.run(join="Input", output_filter="$[0,-1]", input=str(place.input / "rows.csv")) == 0, place.said
    assert place.read("rows.csv.out") == "1,1\n0,0\n"
    shutil.rmtree(place.base)
    place.base.mkdir()
    assert place.run() == 0, place.said
    assert [line.rpartition(",")[2] for line in place.read("rows.csv.out").splitlines()] == ["1", "0"]
    assert json.loads(place.read("rows.jsonl.out").splitlines()[0]) == {"score": 0.5, "predicted_label": 1}


LATER_CORTEX = """
import time

class PythonPredictor:
    def __init__(self, config, job_spec):
        self.job = job_spec
        self.tries = 0

    def predict(self, payload, batch_id):
        self.tries += 1
        if batch_id == "000001" and self.tries < 3:
            raise ValueError("not yet")
        time.sleep(0.02)
        return [self.job["job_id"], self.job["config"]["k"], batch_id, payload]
"""


@pytest.mark.parametrize(("name", "method"), [("PythonPredictor", "predict"), ("Handler", "handle_batch")])
def test_a_predictor_of_cortexs_later_versions_is_told_of_its_job_and_its_batch(
    tmp_path: Path, name: str, method: str
) -> None:
    place = Place(tmp_path, LATER_CORTEX.replace("PythonPredictor", name).replace("def predict(", f"def {method}("))
    for number in range(2):
        place.write(f"{number:06d}.json", f"[{number}]")
    whole: dict[str, Any] = {"content_type": "application/json", "split": "None", "processes": 1, "retries": 3}
    assert place.run(**whole, job={"job_id": "score-1", "config": {"k": 3}}) == 0, place.said
    assert json.loads(place.read("000001.json.out")) == ["score-1", 3, "000001", [1]]
    assert (place.progress["requests"], place.progress["tries_failed"]) == (2, 1)
    assert place.progress["request_seconds"] > 0.04


COMPLETES = """
import os, signal

class Predictor:
    def __init__(self, config):
        self.place = os.environ["COMPLETED"]

    def predict(self, payload):
        if payload["x"] == 7:
            raise ValueError("seven")
        return payload["x"]

    def on_job_complete(self):
        with open(self.place, "a") as file:
            file.write("told ")
        told = open(self.place).read().split()
        if os.environ.get("TROUBLE") == "dies" and len(told) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("TROUBLE") == "raises":
            raise RuntimeError("no room for the report")
"""


@pytest.mark.parametrize(
    ("trouble", "retries", "told", "code"), [("", 0, 1, 0), ("dies", 1, 2, 0), ("raises", 1, 2, 1)]
)
def test_on_job_complete_is_called_when_all_was_scored_and_again_where_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, retries: int, told: int, code: int
) -> None:
    completed = tmp_path / "completed"
    monkeypatch.setenv("COMPLETED", str(completed))
    monkeypatch.setenv("TROUBLE", trouble)
    place = Place(tmp_path, COMPLETES)
    place.write("rows.jsonl", numbers(3))
    assert place.run(retries=retries) == code, place.said
    assert completed.read_text() == "told " * told
    assert place.read("rows.jsonl.out") == "0\n1\n2\n"
    if trouble == "raises":
        said = (place.base / "output" / "failure").read_text()
        assert said == "cannot complete the job: on_job_complete: RuntimeError: no room for the report"
    # Whoever goes on with a transform that has ended does not call it again.
    assert place.run(retries=retries) == code
    assert completed.read_text() == "told " * told


def test_on_job_complete_is_called_where_an_object_failed_and_each_that_failed_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = tmp_path / "completed"
    monkeypatch.setenv("COMPLETED", str(completed))
    place = Place(tmp_path, COMPLETES)
    place.write("bad.jsonl", numbers(9))
    place.write("good.jsonl", numbers(3))
    assert place.run() == 1
    assert completed.read_text() == "told "
    (line,) = (place.base / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["name"] == "bad.jsonl"
    assert "seven" in json.loads(line)["reason"]


def test_a_package_that_cannot_be_loaded_ends_it_with_the_reason(tmp_path: Path) -> None:
    place = Place(tmp_path, "raise RuntimeError('no licence')")
    place.write("rows.jsonl", numbers(1))
    assert place.run() == 1
    assert "no licence" in (place.base / "output" / "failure").read_text()


def test_an_input_that_vanishes_fails_with_its_name(tmp_path: Path) -> None:
    place = Place(tmp_path, SLOW)
    file = place.write("rows.jsonl", numbers(60_000))
    place.write("aa.jsonl", numbers(3))
    process = place.start(**LINE_BY_LINE, max_payload_mb=2000 / 2**20)
    wait_for_records(place, 10)
    file.unlink()
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert place.outputs() == ["aa.jsonl.out"]
    assert place.result["failed"][0]["name"] == "rows.jsonl"
    assert "rows.jsonl" in place.result["failed"][0]["reason"]


def test_killed_again_and_again_it_writes_no_row_twice_and_loses_none(tmp_path: Path) -> None:
    place = Place(tmp_path, SLOW)
    place.write("a.jsonl", numbers(1500))
    place.write("b.jsonl.gz", gzip.compress(numbers(1500).encode()))
    options: dict[str, Any] = {**LINE_BY_LINE, "max_payload_mb": 1000 / 2**20}
    seen = [0]
    for _ in range(3):
        process = place.start(**options)
        wait_for_records(place, seen[-1] + 150, fresh=True)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        seen.append(place.progress["records"])
    assert place.run(**options) == 0, place.said
    expected = "".join(f"{number}\n" for number in range(1500))
    assert place.read("a.jsonl.out") == expected
    assert place.read("b.jsonl.gz.out") == expected
    assert place.result["records"] == 3000
    assert place.outputs() == ["a.jsonl.out", "b.jsonl.gz.out"]


def test_a_stop_keeps_what_was_finished(tmp_path: Path) -> None:
    place = Place(tmp_path, SLOW)
    place.write("a.jsonl", numbers(50))
    place.write("b.jsonl", numbers(60_000))
    process = place.start(**LINE_BY_LINE, max_payload_mb=1000 / 2**20)
    wait_for_records(place, 200)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert [one for one in place.outputs() if not one.startswith(".")] == ["a.jsonl.out"]


def wait_for_records(place: Place, count: int, *, fresh: bool = False) -> None:
    begun = time.time() if fresh else 0.0
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        progress = place.progress
        if progress.get("records", 0) >= count and progress["at"] >= begun:
            return
        time.sleep(0.02)
    raise AssertionError(f"{count} records were not scored in time; {place.progress}")


class _Objects(BaseHTTPRequestHandler):
    content = b""
    broken = 0

    def do_GET(self) -> None:
        begin = int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        body = self.content[begin:]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if type(self).broken and len(body) > 1000:
            type(self).broken -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass


@pytest.fixture
def objects() -> Iterator[str]:
    _Objects.content = gzip.compress(numbers(4000).encode())
    _Objects.broken = 2
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Objects)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bucket/rows.jsonl.gz?signature=secret"
    server.shutdown()
    server.server_close()


def test_an_object_behind_a_url_is_read_on_where_the_connection_broke(tmp_path: Path, objects: str) -> None:
    place = Place(tmp_path)
    assert place.run(input=objects) == 0, place.said
    assert place.read("rows.jsonl.gz.out") == doubled(4000)
    assert _Objects.broken == 0
    assert "secret" not in place.said


def test_parquet_behind_a_url_is_copied_once_and_cut_as_a_file_is(tmp_path: Path, objects: str) -> None:
    url = objects.replace("rows.jsonl.gz", "rows.parquet")
    plan = TransformPlan("one", "", url, str(tmp_path / "out"), base=str(tmp_path))
    (one,) = find_objects(plan)
    content = _Objects.content
    for _ in range(2):
        first, second = islice(chunks.pieces(plan, one, format_of(plan, one.name), 0), 2)
        assert (first.begin, second.begin, first.path) == (0, 1, second.path)
        assert first.path is not None
        assert Path(first.path).read_bytes() == content
        _Objects.content = b"nobody asks for it again"
