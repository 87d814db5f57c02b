"""What the kernel of the machine makes of replicas' groups. Runs inside, as a user to whom a group was delegated."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.engines.local.control_groups import MOUNT, PLATFORM, ControlGroups, Strike, delegated_group
from modelyard.engines.local.memory import memory_of_groups
from modelyard.engines.local.replicas import over_group
from tests.contract.engines import harness
from tests.contract.engines.conftest import run_local, short_home
from tests.contract.engines.harness import LocalHarness, RunLocal, sight, until

__all__ = ("run_local", "short_home")

SLOWNESS = 15
"""An emulated processor takes about so many times as long."""

TAKES_AT_ONCE = """
import threading, time
def take():
    while "replica-" not in open("/proc/self/cgroup").read(): time.sleep(0.01)
    bytearray(b"x") * (112 * 2**20)
    time.sleep(600)
class Predictor:
    def __init__(self, config):
        threading.Thread(target=take, daemon=True).start()
    def predict(self, payload): return payload
"""

BURNS = """
import os, threading, time
def burn():
    os.sched_setaffinity(0, {0})
    while True: pass
class Predictor:
    def __init__(self, config):
        threading.Thread(target=burn, daemon=True).start()
    def predict(self, payload): return payload
"""

BASE = MOUNT / "user.slice" / "yard.scope"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LIMIT_SECONDS", harness.LIMIT_SECONDS * SLOWNESS)


@pytest.fixture
def groups() -> Iterator[ControlGroups]:
    found = ControlGroups()
    yield found
    assert [one.name for one in BASE.iterdir() if one.is_dir()] == [PLATFORM]


def hungry(mebibytes: int) -> "subprocess.Popen[bytes]":
    """A process that takes so much when it is told to."""
    script = f"input(); held = bytearray({mebibytes} * 2**20); held[::4096] = bytes(len(held[::4096])); input()"
    return subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)


def feed(process: "subprocess.Popen[bytes]") -> int:
    """How it ended."""
    assert process.stdin is not None
    process.stdin.write(b"\n\n")
    process.stdin.flush()
    return process.wait()


def test_a_delegated_group_is_ours_to_divide_and_members_make_place(groups: ControlGroups) -> None:
    assert delegated_group() == BASE
    with hungry(1) as one:
        assert groups.hold("a", one.pid, 64 * 2**20, 500)
        assert Path(f"/proc/{one.pid}/cgroup").read_text() == "0::/user.slice/yard.scope/replica-a\n"
        assert Path("/proc/self/cgroup").read_text() == f"0::/user.slice/yard.scope/{PLATFORM}\n"
        assert (BASE / "replica-a" / "memory.max").read_text() == f"{64 * 2**20}\n"
        assert (BASE / "replica-a" / "cpu.weight").read_text() == "50\n"
        assert feed(one) == 0
    assert groups.release("a") is None
    # Who comes later is in `platform` already, and finds the same group.
    assert delegated_group() == BASE


def test_a_group_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/user.slice\n")
    assert delegated_group(MOUNT, tmp_path / "own") is None


def test_whoever_reaches_its_own_limit_is_ended_for_it(groups: ControlGroups) -> None:
    with hungry(96) as one:
        assert groups.hold("a", one.pid, 64 * 2**20)
        assert feed(one) == -9
    assert groups.release("a") is Strike.ITS_OWN


def test_whoever_is_ended_for_want_of_everybodys_memory_is_told_apart(groups: ControlGroups) -> None:
    outer = BASE / "replica-outer"
    outer.mkdir()
    (outer / "memory.max").write_text(str(64 * 2**20))
    (outer / "cgroup.subtree_control").write_text("+memory +cpu")
    inner = ControlGroups(MOUNT, _own_file(outer))
    try:
        with hungry(96) as one:
            assert inner.hold("b", one.pid, cpu_millis=500)
            assert feed(one) == -9
        assert inner.release("b") is Strike.ALL
    finally:
        outer.rmdir()


def _own_file(group: Path) -> Path:
    path = Path(os.environ["TMPDIR"]) / "own"
    path.write_text(f"0::/{group.relative_to(MOUNT)}\n")
    return path


def test_what_a_replica_leaves_behind_ends_with_its_group(groups: ControlGroups) -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid); sys.stdout.flush(); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert groups.hold("a", one.pid, 64 * 2**20)
        assert one.stdout is not None
        pid = int(one.stdout.readline())
        # It was started before its parent was moved, perhaps; what counts is where it is now.
        (BASE / "replica-a" / "cgroup.procs").write_text(str(pid))
        one.kill()
    assert groups.release("a") is None
    asyncio.run(until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid)))
    groups.release("b")


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_the_group_around_us_may_have_is_what_the_yard_has() -> None:
    assert [one.total_bytes for one in memory_of_groups()] == [2**31]


def test_a_replica_that_takes_more_than_its_memory_says_so_and_its_neighbours_live(run_local: RunLocal) -> None:
    async def story(local: LocalHarness) -> None:
        await local.engine.start_replica(local.replica_order("neighbour", memory_bytes=512 * 2**20))
        await local.engine.start_replica(local.replica_order("greedy", code=TAKES_AT_ONCE, memory_bytes=64 * 2**20))
        await until(lambda: not sight(local.engine, "greedy").alive)
        found = sight(local.engine, "greedy")
        assert (found.out_of_memory, found.exit_code) == (True, -9)
        assert found.reason == over_group(64 * 2**20)
        assert f"killed: {found.reason}" in local.engine.output_tail("greedy")
        assert sight(local.engine, "neighbour").alive

    run_local(story)


def test_replicas_share_a_core_as_they_reserved_it(run_local: RunLocal) -> None:
    async def story(local: LocalHarness) -> None:
        for name, cpu_millis in (("small", 200), ("large", 800)):
            await local.engine.start_replica(local.replica_order(name, code=BURNS, cpu_millis=cpu_millis))
        used = {name: BASE / f"replica-{name}" / "cpu.stat" for name in ("small", "large")}
        await until(lambda: all(_used(path) for path in used.values()))
        before = {name: _used(path) for name, path in used.items()}
        await until(lambda: sum(_used(used[name]) - before[name] for name in used) > 3_000_000)
        small, large = (_used(used[name]) - before[name] for name in ("small", "large"))
        assert large > 2 * small

    run_local(story)


def _used(path: Path) -> int:
    """Microseconds of processor time."""
    return int(path.read_text().split()[1])
