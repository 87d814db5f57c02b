"""Segments become Parquet once, whoever dies, and days go when they are too old."""

import fcntl
import json
from pathlib import Path
from typing import Any

from modelyard.domain.captures import sagemaker_line, sagemaker_path
from modelyard.store import captures

AT = 1_767_225_500.0  # 2025-12-31T23:58:20Z


def line(**more: Any) -> dict[str, Any]:
    given = {"at": AT, "id": "a1", "endpoint": "Price", "version": 2, "status": 200, "seconds": 0.01}
    given |= {"input": "[1]", "input_type": "application/json", "input_encoding": "text", "input_bytes": 3}
    given |= {"output": "7", "output_type": "application/json", "output_encoding": "text", "output_bytes": 1}
    return {**given, **more}


def segment(folder: Path, *lines: dict[str, Any], name: str = "1-aa.jsonl") -> Path:
    path = folder / "spool" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def ids(folder: Path, **asked: Any) -> list[str]:
    given: dict[str, Any] = {"since": 0.0, "until": 1e12, "limit": 100, **asked}
    return [one["id"] for one in captures.read(folder, "price", **given)]


def test_a_segment_becomes_a_file_for_each_version_and_day(tmp_path: Path) -> None:
    segment(tmp_path, line(), line(id="b", version=3), line(id="c", at=AT + 200), line(id="d", input=None))
    assert captures.waiting(tmp_path)
    assert captures.record(tmp_path) == 1
    assert not captures.waiting(tmp_path)
    found = [(one.version, one.day, one.files) for one in captures.days(tmp_path, "PRICE")]
    assert found == [(2, "2026-01-01", 1), (3, "2025-12-31", 1), (2, "2025-12-31", 1)]
    assert ids(tmp_path)[0] == "c"
    assert set(ids(tmp_path)) == {"a1", "b", "c", "d"}
    assert ids(tmp_path, version=3) == ["b"]
    assert ids(tmp_path, since=AT + 1) == ["c"]
    assert len(ids(tmp_path, limit=2)) == 2
    [first] = [one for one in captures.read(tmp_path, "price", 0, 1e12, 9) if one["id"] == "a1"]
    assert (first["input"], first["output"], first["seconds"]) == ("[1]", "7", 0.01)


def test_a_segment_that_is_recorded_again_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        segment(tmp_path, line())
        captures.record(tmp_path)
    assert ids(tmp_path) == ["a1"]


def test_a_segment_of_a_living_writer_waits_and_a_dead_one_s_is_taken_with_half_its_last_line(tmp_path: Path) -> None:
    path = segment(tmp_path, line(), name="1-aa.part")
    with path.open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert captures.record(tmp_path) == 0
        writer.write('{"at": 17672')
    assert captures.record(tmp_path) == 1
    assert ids(tmp_path) == ["a1"]


def test_days_go_when_their_endpoint_keeps_them_no_longer(tmp_path: Path) -> None:
    segment(tmp_path, line(), line(id="c", at=AT + 86400 * 3))
    captures.record(tmp_path)
    captures.keep(tmp_path, "Price", 86400.0)
    assert [one.day for one in captures.drop_old(tmp_path, AT + 86400 * 3)] == ["2025-12-31"]
    assert ids(tmp_path) == ["c"]


def test_a_record_is_a_line_of_sagemaker_s_data_capture() -> None:
    found = sagemaker_line(line(inference_id="mine", output="AAE=", output_encoding="base64", output_type="x/y"))
    assert found["captureData"]["endpointInput"] == {
        "observedContentType": "application/json",
        "mode": "INPUT",
        "data": "[1]",
        "encoding": "JSON",
    }
    assert found["captureData"]["endpointOutput"]["encoding"] == "BASE64"
    assert found["eventMetadata"] == {
        "eventId": "a1",
        "inferenceTime": "2025-12-31T23:58:20Z",
        "inferenceId": "mine",
    }
    assert sagemaker_path(line()) == "Price/v2/2025/12/31/23"
