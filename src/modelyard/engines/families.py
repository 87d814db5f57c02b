"""A process and all that came of it: what a replica takes of the machine is what its whole family takes."""

import re
from pathlib import Path

FAMILY_MAX = 10_000
"""Processes that are looked at; whoever starts more is beyond counting."""

_OWN = re.compile(r"^(?:Private_Dirty|Swap): +(\d+) kB$", re.MULTILINE)
_PORTION = re.compile(r"^(?:Pss_Anon|SwapPss): +(\d+) kB$", re.MULTILINE)


def family(pid: int) -> list[int]:
    """`pid`, then its descendants, as far as they are there. Who left for another parent is no longer of it."""
    found = [pid]
    for one in found:
        if len(found) >= FAMILY_MAX:
            break
        found += _children(one)
    return found


def _children(pid: int) -> list[int]:
    """Of every thread (proc_pid_task_children(5)); empty where it is gone, or the kernel does not say."""
    try:
        parts = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [int(child) for part in parts for child in part.split()]


def own_bytes(pid: int) -> int:
    """Memory that a process holds and shares with nobody, swapped out or not. 0 where it is gone."""
    return _rolled_up(pid, _OWN)


def portion_bytes(pid: int) -> int:
    """Memory from no file that a process holds, swapped out or not; of what it shares with others, its part. 0 where it
    is gone."""
    return _rolled_up(pid, _PORTION)


def _rolled_up(pid: int, lines: re.Pattern[str]) -> int:
    try:
        found = lines.findall(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return sum(int(kilobytes) * 1024 for kilobytes in found)
