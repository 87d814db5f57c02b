"""Memory limits by control groups (cgroups(7), version 2), where this yard was given a group of its own.

A service manager that delegates (`Delegate=yes` in systemd) lets us divide our group. A group with members may not have
its memory divided, so whoever is in it goes into the group `platform` below it first; each replica with a limit then
gets a group beside that, with `memory.max`. What it maps and shares with its template was charged there before, so the
limit is on what is its own, and on the files that it reads, which the kernel lets go of first. A service that is
divided cannot be started again by systemd unless it puts it into `platform` itself (`DelegateSubgroup=platform`, from
254 on); only then is one divided.

Where there is no such group, `hold` says so, and RLIMIT_DATA and the engine's watch are all there is.
"""

import contextlib
import logging
import os
import re
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PLATFORM = "platform"

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)

_log = logging.getLogger("modelyard.controller")


class ControlGroups:
    def __init__(self, mount: Path = MOUNT, own: Path = OWN) -> None:
        self._base = delegated_group(mount, own)
        self._divided: bool | None = None
        """None until the first replica with a limit: a yard without any leaves its group as it is."""

    def hold(self, name: str, pid: int, memory_bytes: int) -> bool:
        """Bounds what a process may hold from now on, and its children; False where there is no group to do it with."""
        if self._base is None:
            return False
        if self._divided is None:
            self._divided = _divide(self._base)
        if not self._divided:
            return False
        group = self._base / _group_name(name)
        try:
            group.mkdir(exist_ok=True)
            (group / "memory.max").write_text(str(memory_bytes))
            with contextlib.suppress(OSError):
                (group / "memory.swap.max").write_text("0")
            (group / "memory.oom.group").write_text("1")
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            _log.warning("replica %s has no control group: %s", name, error)
            with contextlib.suppress(OSError):
                group.rmdir()
            return False
        return True

    def release(self, name: str) -> bool:
        """Removes the group of a process that has ended: whether the kernel ended it for want of memory."""
        if self._base is None:
            return False
        group = self._base / _group_name(name)
        try:
            found = _KILLS.search((group / "memory.events").read_text(encoding="ascii"))
        except (OSError, ValueError):
            found = None
        with contextlib.suppress(OSError):
            group.rmdir()
        return found is not None and int(found[1]) > 0


def delegated_group(mount: Path = MOUNT, own: Path = OWN) -> Path | None:
    """Our own group's folder, where we may divide its memory; None where there is no such."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    place = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if place is None or place == "/":
        # The root has no limits of its own, and is nobody's to divide.
        return None
    group = mount / place.lstrip("/")
    if group.name == PLATFORM:
        group = group.parent
    elif group.name.endswith(".service"):
        return None
    try:
        controllers = (group / "cgroup.controllers").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    files = ("cgroup.procs", "cgroup.subtree_control")
    mine = os.access(group, os.W_OK) and all(os.access(group / one, os.W_OK) for one in files)
    return group if mine and "memory" in controllers else None


def _divide(group: Path) -> bool:
    """Makes place for groups with limits below it."""
    try:
        if "memory" in (group / "cgroup.subtree_control").read_text(encoding="ascii").split():
            return True
        platform = group / PLATFORM
        platform.mkdir(exist_ok=True)
        for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(ProcessLookupError):
                (platform / "cgroup.procs").write_text(pid)
        (group / "cgroup.subtree_control").write_text("+memory")
    except (OSError, ValueError) as error:
        _log.warning("control group %s cannot be divided, replicas have none of their own: %s", group, error)
        return False
    return True


def _group_name(replica: str) -> str:
    return f"replica-{replica}"
