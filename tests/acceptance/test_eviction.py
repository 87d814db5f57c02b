"""Loaded endpoints make room before the machine suffers: those that nobody asks, never those that are busy."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

PREDICTOR = """
import os
import time

class Predictor:
    def __init__(self, config):
        self.held = bytearray(os.urandom(1024)) * (config["held_mebibytes"] * 1024)

    def predict(self, payload):
        while payload.get("until") and not os.path.exists(payload["until"]):
            time.sleep(0.02)
        return "done"
"""


def deploy(yard: Yard, folder: Path, **endpoints: str) -> None:
    """Endpoints of 32 MiB each; each is given what its `autoscaling` says."""
    (folder / "predictor.py").write_text(PREDICTOR)
    text = "".join(
        f"- name: {name}\n  predictor: {{path: predictor.py, config: {{held_mebibytes: 32}}}}\n"
        f"  timeout: 50s\n  autoscaling: {{{scaling}}}\n"
        for name, scaling in endpoints.items()
    )
    (folder / "modelyard.yaml").write_text(text)
    yard.client().deploy(folder / "modelyard.yaml")
    for name in endpoints:
        assert yard.client().wait_endpoint(name)["state"] == "live"


def ask(yard: Yard, name: str, **payload: Any) -> httpx.Response:
    return httpx.post(f"{yard.url}/endpoints/{name}/invocations", json=payload, timeout=60)


def evictions(yard: Yard, name: str) -> list[str]:
    decisions = yard.client().scaling(name)["decisions"]
    return [one["sentence"] for one in decisions if "evicted" in one["sentence"]]


def loaded(yard: Yard, *names: str) -> list[str]:
    return [name for name in names if yard.replicas(name)]


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A yard that wants all of the machine's memory to stay free, so that it is always short."""
    monkeypatch.setenv("MODELYARD_MEMORY_FREE_BYTES_MIN", str(2**50))
    monkeypatch.setenv("MODELYARD_MEMORY_FREE_SHARE_MIN", "1")
    with a_yard() as yard:
        yield yard


@pytest.mark.long
def test_what_nobody_asks_goes_and_what_is_busy_or_is_to_stay_stays(short_of_memory: Yard, tmp_path: Path) -> None:
    yard = short_of_memory
    deploy(yard, tmp_path, idle="min_replicas: 0", busy="min_replicas: 0", kept="min_replicas: 1")
    with ThreadPoolExecutor(1) as clients:
        under_way = clients.submit(ask, yard, "busy", until=str(tmp_path / "go"))
        eventually(lambda: yard.replicas("busy"))
        eventually(lambda: evictions(yard, "idle"), saying="the idle one being evicted")
        eventually(lambda: not yard.replicas("idle"))
        assert loaded(yard, "busy", "kept") == ["busy", "kept"]
        assert "the machine has" in evictions(yard, "idle")[0]
        assert "nothing asked for it" in evictions(yard, "idle")[0]
        (tmp_path / "go").touch()
        assert under_way.result().status_code == 200
    eventually(lambda: not yard.replicas("busy"), saying="the busy one going when it is done")
    assert loaded(yard, "kept") == ["kept"]
    assert evictions(yard, "kept") == []
    assert ask(yard, "idle").status_code == 200


@pytest.mark.long
def test_the_least_recently_used_go_until_all_hold_no_more_than_they_may(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELYARD_REPLICAS_BYTES_MAX", str(160 * 2**20))
    with a_yard() as yard:
        names = [f"e{number}" for number in range(5)]
        deploy(yard, tmp_path, **dict.fromkeys(names, "min_replicas: 0, last_replica_delay: 600s"))
        for name in names:
            assert ask(yard, name).status_code == 200
        eventually(lambda: evictions(yard, "e0"), saying="the one that was asked first being evicted")
        eventually(lambda: not yard.replicas("e0"))
        assert loaded(yard, "e4") == ["e4"]
        assert "replicas hold" in evictions(yard, "e0")[0]
        assert ask(yard, "e0").status_code == 200
