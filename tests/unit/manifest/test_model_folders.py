"""`models` as written -> which models an endpoint serves, or located errors."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import read_yard_file


def models_of(folder: Path, written: str) -> Any:
    (folder / "here").mkdir()
    (folder / "modelyard.yaml").write_text(f"- name: prices\n  models: {written}\n")
    [one] = read_yard_file(folder / "modelyard.yaml").endpoints
    return one.settings["models"]


def test_a_folder_is_served_where_it_lies(tmp_path: Path) -> None:
    assert models_of(tmp_path, "{dir: here, cache_size: 5}") == {"dir": str(tmp_path / "here"), "cache_size": 5}


@pytest.mark.parametrize("url", ["s3://shop-models", "s3://shop-models/", "s3://shop-models/prices/eu"])
def test_a_prefix_of_a_bucket_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    assert models_of(tmp_path, f"{{dir: '{url}', memory: 1Gi}}") == {"dir": url, "memory_bytes": 2**30}


def test_models_of_buckets_may_have_names_of_their_own(tmp_path: Path) -> None:
    written = "{paths: [{name: a, path: s3://one/a.joblib}, {name: b, path: s3://two/b/}]}"
    assert models_of(tmp_path, written) == {"paths": {"a": "s3://one/a.joblib", "b": "s3://two/b/"}}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{dir: gone}", r"modelyard.yaml:2: .*models.dir: found 'gone' \(text\), but there is no such folder"),
        (
            "{dir: 's3://x'}",
            r"modelyard.yaml:2: .*models.dir: found 's3://x' \(text\); allowed: a path, or s3://BUCKET/KEY",
        ),
        ("{dir: 'gs://bucket/x'}", r"modelyard.yaml:2: .*models.dir: found 'gs://bucket/x' \(text\); allowed: a path"),
        ("{dir: here, path: here}", r"modelyard.yaml:2: .*models: found dir and path; allowed: exactly one"),
        (
            "{paths: [{name: a, path: here}, {name: b, path: 's3://two/b'}]}",
            r"2: .*paths: found paths on this machine and",
        ),
        ("{paths: [{name: a, path: here}, {name: a, path: here}]}", r"2: .*paths: found two of one name"),
    ],
)
def test_what_cannot_be_served_is_refused_where_it_stands(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        models_of(tmp_path, written)
