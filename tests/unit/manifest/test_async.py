"""`kind: async`: an endpoint whose requests are queued."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.endpoints import EndpointResource
from modelyard.manifest.yard_file import read_yard_file

PREDICTOR = "  predictor: {path: p.py}\n"


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / "p.py").touch()
    path = tmp_path / "modelyard.yaml"
    path.write_text(text)
    (resource,) = read_yard_file(path).resources
    assert isinstance(resource, EndpointResource)
    return resource.settings


@pytest.mark.parametrize("kind", ["async", "AsyncAPI"])
def test_it_goes_to_zero_unless_the_file_says_otherwise(tmp_path: Path, kind: str) -> None:
    settings = read(tmp_path, f"- name: long\n  kind: {kind}\n{PREDICTOR}")
    assert settings["asynchronous"] == {}
    assert settings["autoscaling"] == {"min_replicas": 0}
    settings = read(tmp_path, f"- name: long\n  kind: {kind}\n{PREDICTOR}  autoscaling: {{max_replicas: 1}}\n")
    assert settings["autoscaling"] == {"min_replicas": 0, "max_replicas": 1}
    settings = read(tmp_path, f"- name: long\n  kind: {kind}\n{PREDICTOR}  autoscaling: {{min_replicas: 2}}\n")
    assert settings["autoscaling"]["min_replicas"] == 2


def test_its_fields_are_read_with_their_units(tmp_path: Path) -> None:
    text = (
        f"- name: long\n  kind: async\n{PREDICTOR}"
        "  async: {time_to_live: 1h, timeout: 10m, attempts: 2, max_concurrency: 4,"
        " webhook: 'https://shop.example/done', include_result: true}\n"
    )
    assert read(tmp_path, text)["asynchronous"] == {
        "time_to_live_seconds": 3600.0,
        "timeout_seconds": 600.0,
        "attempts": 2,
        "max_concurrency": 4,
        "webhook": "https://shop.example/done",
        "include_result": True,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"- name: long\n{PREDICTOR}  async: {{attempts: 2}}\n", "allowed: kind async"),
        (f"- name: long\n  kind: async\n{PREDICTOR}  async: {{webhook: 'ftp://x'}}\n", "http://"),
        (f"- name: long\n  kind: async\n{PREDICTOR}  async: {{time_to_live: 1s}}\n", "time_to_live"),
        (f"- name: console\n{PREDICTOR}", "the yard's own addresses"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        read(tmp_path, text)
