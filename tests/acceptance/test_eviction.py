"""Loaded endpoints make room before the machine suffers: those that nobody asks, never those that are busy."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from modelyard_worker.records import is_alive

from modelyard.engines.local.memory import private_bytes
from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Load, Yard, eventually

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
        assert yard.client().wait_endpoint(name).state == "live"


def ask(yard: Yard, name: str, **payload: Any) -> httpx.Response:
    return httpx.post(f"{yard.url}/endpoints/{name}/invocations", json=payload, timeout=60)


def evictions(yard: Yard, name: str) -> list[str]:
    decisions = yard.client().scaling(name).decisions
    return [one.sentence for one in decisions if "evicted" in one.sentence]


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


LIMIT_BYTES = 160 * 2**20
"""Of all replicas together: three of 32 MiB with what each has besides, and not five."""


@pytest.fixture(scope="module")
def bounded_yard() -> Iterator[Yard]:
    """A yard whose replicas may hold so much together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELYARD_REPLICAS_BYTES_MAX", str(LIMIT_BYTES))
        with a_yard() as yard:
            yield yard


class Scales:
    """Weighs all replicas of a yard again and again for as long as the block lasts: what each holds for itself."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self.weights: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._weigh, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _weigh(self) -> None:
        while not self._stop.wait(0.02):
            pids = map(self._yard.engine_pid, (self._yard.home / "engine" / "replicas").iterdir())
            self.weights.append(sum(private_bytes(pid) for pid in pids if pid is not None))


def told_of(yard: Yard, words: str) -> Counter[str]:
    """How often each endpoint's events say that."""
    return Counter(one["name"] for one in yard.client().events(kind="endpoint", limit=1000) if words in one["sentence"])


@pytest.mark.long
def test_those_asked_longest_ago_make_place_before_another_is_there_and_no_request_is_lost(
    bounded_yard: Yard, tmp_path: Path
) -> None:
    yard = bounded_yard
    names = [f"e{number}" for number in range(6)]
    platform = {name: yard.process(name) for name in ("supervisor", "gateway", "control", "controller")}
    deploy(yard, tmp_path, **dict.fromkeys(names, "min_replicas: 0, last_replica_delay: 600s"))
    with Scales(yard) as scales:
        assert [ask(yard, name).status_code for name in names] == [200] * 6
        before = told_of(yard, "woken at once")
        assert [ask(yard, name).status_code for name in names * 2] == [200] * 12
        # Asked in turn, the one whose turn is next is the one that was asked longest ago: it has gone. On a machine so
        # busy that nobody goes for seconds, a start goes on all the same, and the next may still be there.
        woken = told_of(yard, "woken at once") - before
        assert set(woken) == set(names)
        assert woken.total() >= 10
        with ThreadPoolExecutor(len(names)) as clients:
            at_once = list(clients.map(lambda name: ask(yard, name).status_code, names * 3))
    assert set(at_once) == {200}
    assert len(scales.weights) > 20
    over = sum(weight >= LIMIT_BYTES for weight in scales.weights)
    assert over <= len(scales.weights) / 20, (over, len(scales.weights), max(scales.weights))
    assert {name: yard.process(name) for name in platform if is_alive(yard.process(name))} == platform
    assert any("evicted, replicas hold" in one and "nothing asked for it for" in one for one in evictions(yard, "e0"))


TAKES = """
import os
import time

class Predictor:
    def __init__(self, config):
        self.held = []

    def predict(self, payload):
        for _ in range(payload["take_mebibytes"]):
            self.held.append(bytearray(os.urandom(1024)) * 1024)
            time.sleep(0.005)
        return os.getpid()
"""


@pytest.mark.long
def test_one_that_takes_more_than_its_own_memory_is_ended_for_it_and_its_neighbours_notice_nothing(
    bounded_yard: Yard, tmp_path: Path
) -> None:
    yard = bounded_yard
    (tmp_path / "predictor.py").write_text(TAKES)
    (tmp_path / "modelyard.yaml").write_text(
        "- name: greedy\n  predictor: {path: predictor.py}\n  compute: {mem: 32Mi}\n"
        "- name: neighbour\n  predictor: {path: predictor.py}\n"
    )
    yard.client().deploy(tmp_path / "modelyard.yaml")
    for name in ("greedy", "neighbour"):
        yard.client().wait_endpoint(name)
    before = ask(yard, "greedy", take_mebibytes=4).json()
    with Load(yard, "neighbour", {"take_mebibytes": 0}, clients=2) as load:
        answer = ask(yard, "greedy", take_mebibytes=1000)
        assert answer.status_code in (502, 503)
        assert "its limit, compute.mem, is 32 MiB" in answer.json()["error"]["message"]
        eventually(lambda: yard.client().endpoint("greedy").state == "live")
        assert ask(yard, "greedy", take_mebibytes=4).json() != before
        load.wait_for_answers(20)
    assert load.failures == []
    assert len(load.bodies) == 1
    assert "killed: it held" in yard.command("logs", "greedy").stdout
