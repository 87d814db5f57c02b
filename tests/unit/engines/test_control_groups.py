"""Control groups of replicas, in a tree of files such as a delegated group has."""

from pathlib import Path

import pytest

from modelyard.engines.local.control_groups import ControlGroups, Strike, delegated_group

OURS = "user.slice/modelyard.scope"


def tree(root: Path, place: str = OURS, controllers: str = "cpu memory pids") -> Path:
    group = root / place
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text(controllers + "\n")
    (group / "cgroup.subtree_control").write_text("\n")
    (group / "cgroup.procs").write_text("101\n102\n")
    (root / "own").write_text(f"1:name=systemd:/elsewhere\n0::/{place}\n")
    return group


def groups(root: Path) -> ControlGroups:
    return ControlGroups(root, root / "own")


def test_a_delegated_group_is_divided_once_and_its_members_make_place(tmp_path: Path) -> None:
    group = tree(tmp_path)
    found = groups(tmp_path)
    assert found.hold("iris-1-aa", 4711, 64 * 2**20)
    assert (group / "cgroup.subtree_control").read_text() == "+memory +cpu"
    assert (group / "platform" / "cgroup.procs").read_text() in ("101", "102")
    held = group / "replica-iris-1-aa"
    assert (held / "memory.max").read_text() == str(64 * 2**20)
    assert (held / "cgroup.procs").read_text() == "4711"
    assert (held / "memory.oom.group").read_text() == "1"


@pytest.mark.parametrize(
    ("events", "strike"),
    [
        ("max 7\noom 0\noom_kill 0\n", None),
        ("max 7\noom 1\noom_kill 1\n", Strike.ITS_OWN),
        ("max 0\noom 0\noom_kill 1\n", Strike.ALL),
        ("", None),
    ],
    ids=["none", "its limit", "the machine", "unreadable"],
)
def test_a_group_says_whether_the_kernel_ended_its_replica_and_for_want_of_whose_memory(
    tmp_path: Path, events: str, strike: Strike | None
) -> None:
    group = tree(tmp_path)
    found = groups(tmp_path)
    found.hold("a", 1, 1)
    (group / "replica-a" / "memory.events").write_text(f"low 0\n{events}")
    assert found.release("a") is strike
    assert found.release("never held") is None


def test_what_a_replica_reserves_of_the_cores_is_what_its_group_weighs(tmp_path: Path) -> None:
    group = tree(tmp_path)
    found = groups(tmp_path)
    held = group / "replica-a"
    held.mkdir()
    (held / "cpu.weight").write_text("100")
    assert found.hold("a", 1, cpu_millis=500)
    assert (held / "cpu.weight").read_text() == "50"
    assert not (held / "memory.max").exists()


def test_nothing_is_divided_before_a_replica_has_a_limit(tmp_path: Path) -> None:
    group = tree(tmp_path)
    groups(tmp_path)
    assert not (group / "platform").exists()


@pytest.mark.parametrize(
    ("place", "controllers"),
    [(OURS, "cpu pids"), ("system.slice/modelyard.service", "memory"), ("", "memory")],
    ids=["without memory", "a service that could not be started again", "the root"],
)
def test_what_cannot_be_divided_is_left_alone(tmp_path: Path, place: str, controllers: str) -> None:
    root = tmp_path / "mount"
    root.mkdir()
    if place:
        tree(root, place, controllers)
    else:
        (root / "own").write_text("0::/\n")
    assert delegated_group(root, root / "own") is None
    assert groups(root).hold("a", 1, 1) is False


def test_a_service_that_systemd_puts_below_its_group_is_divided(tmp_path: Path) -> None:
    group = tree(tmp_path, "system.slice/modelyard.service")
    (group / "platform").mkdir()
    (tmp_path / "own").write_text("0::/system.slice/modelyard.service/platform\n")
    assert delegated_group(tmp_path, tmp_path / "own") == group


def test_a_machine_without_control_groups_has_none(tmp_path: Path) -> None:
    assert delegated_group(tmp_path, tmp_path / "nothing") is None
