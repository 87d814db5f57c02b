"""Limits by control groups (cgroups(7), version 2), where this yard was given a group of its own.

A service manager that delegates (`Delegate=yes` in systemd) lets us divide our group. A group with members may not have
its memory divided, so whoever is in it goes into the group `platform` below it first; each replica that states what it
takes then gets a group beside that, with `memory.max` and `cpu.weight`. What it maps and shares with its template was
charged there before, so the limit is on what is its own, and on the files that it reads, which the kernel lets go of
first. Cores are shared out by weight where all are wanted: what a replica reserves it gets, and what nobody wants is
anybody's. A service that is divided cannot be started again by systemd unless it puts it into `platform` itself
(`DelegateSubgroup=platform`, from 254 on); only then is one divided.

Where there is no such group, `hold` says so, and RLIMIT_DATA and the engine's watch are all there is.
"""

import contextlib
import errno
import logging
import os
import re
from enum import StrEnum
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PLATFORM = "platform"

DIVIDE_ATTEMPTS = 10
"""A group whose members are moved while one of them forks has a member again."""

CORE_WEIGHT = 100
"""What a core that is reserved weighs; the whole platform weighs as much."""

_WEIGHT_MAX = 10_000

_COUNTS = re.compile(r"^(oom|oom_kill) (\d+)$", re.MULTILINE)

_log = logging.getLogger("modelyard.controller")


class Strike(StrEnum):
    """For want of whose memory the kernel ended a process."""

    ITS_OWN = "its own"  # it reached the limit of its group
    ALL = "all"  # the machine's, or that of a group around it


class ControlGroups:
    def __init__(self, mount: Path = MOUNT, own: Path = OWN) -> None:
        self._base = delegated_group(mount, own)
        self._divided: bool | None = None
        """None until the first replica with a limit: a yard without any leaves its group as it is."""
        self._left: set[Path] = set()
        """Groups of replicas that have ended, in which something was still about to end."""

    def hold(self, name: str, pid: int, memory_bytes: int = 0, cpu_millis: int = 0) -> bool:
        """Bounds what a process may hold from now on, and its children, and says what share of the cores is theirs;
        0 is no bound, and no share. False where there is no group to do it with."""
        if self._base is None:
            return False
        if self._divided is None:
            self._divided = _divide(self._base)
        if not self._divided:
            return False
        group = self._base / _group_name(name)
        try:
            group.mkdir(exist_ok=True)
            if memory_bytes:
                (group / "memory.max").write_text(str(memory_bytes))
                with contextlib.suppress(OSError):
                    (group / "memory.swap.max").write_text("0")
                (group / "memory.oom.group").write_text("1")
            if cpu_millis and (group / "cpu.weight").exists():
                weight = min(_WEIGHT_MAX, max(1, cpu_millis * CORE_WEIGHT // 1000))
                (group / "cpu.weight").write_text(str(weight))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            _log.warning("replica %s has no control group: %s", name, error)
            with contextlib.suppress(OSError):
                group.rmdir()
            return False
        return True

    def release(self, name: str) -> Strike | None:
        """Removes the group of a process that has ended, and ends what it left behind in it. Whether the kernel ended
        it, and for want of what."""
        if self._base is None:
            return None
        group = self._base / _group_name(name)
        try:
            counts = dict(_COUNTS.findall((group / "memory.events").read_text(encoding="ascii")))
        except (OSError, ValueError):
            counts = {}
        with contextlib.suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        self._left = {one for one in (*self._left, group) if not _removed(one)}
        if not int(counts.get("oom_kill", 0)):
            return None
        return Strike.ITS_OWN if int(counts.get("oom", 0)) else Strike.ALL


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


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
        given = (group / "cgroup.controllers").read_text(encoding="ascii").split()
        divided = (group / "cgroup.subtree_control").read_text(encoding="ascii").split()
        wanted = [f"+{one}" for one in ("memory", "cpu") if one in given and one not in divided]
        if not wanted:
            return True
        platform = group / PLATFORM
        platform.mkdir(exist_ok=True)
        for attempt in range(DIVIDE_ATTEMPTS):
            for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    (platform / "cgroup.procs").write_text(pid)
            try:
                (group / "cgroup.subtree_control").write_text(" ".join(wanted))
            except OSError as error:
                if error.errno != errno.EBUSY or attempt == DIVIDE_ATTEMPTS - 1:
                    raise
            else:
                break
    except (OSError, ValueError) as error:
        _log.warning("control group %s cannot be divided, replicas have none of their own: %s", group, error)
        return False
    return True


def _group_name(replica: str) -> str:
    return f"replica-{replica}"
