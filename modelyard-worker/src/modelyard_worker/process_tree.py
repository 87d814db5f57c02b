"""Keeping every process of a job, or of an app, in hand, so that none outlives it.

Three nets, each for what the one before cannot hold:

* The child leads a session of its own; a signal to its group reaches all who stayed in it.
* The wrapper is subreaper (prctl(2)): who left the group becomes its child when the parent in between ends.
* Should the wrapper itself be killed, the kernel kills the child (PR_SET_PDEATHSIG), and a guard, a forked process that
  does nothing but read a pipe whose other end only the wrapper holds, kills the rest of the group, and whoever has the
  mark in the environment that it was started with: a session of one's own does not take that off.

On systems without prctl the first net and the guard hold.
"""

import ctypes
import os
import signal
import sys
import time
from typing import Container, List, Optional

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

REAP_SECONDS = 5.0
"""How long killed processes may take to be gone; one that hangs in the kernel longer is left to the system."""

_REAP_PAUSE_SECONDS = 0.005


def become_subreaper() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """In a child between fork and exec: be killed when `parent` ends, and at once where it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


# Loaded before any fork: between fork and exec nothing should have to be looked up.
_LIBC = ctypes.CDLL(None)


class Guard:
    """The forked process that ends a group when the wrapper dies before it said that all is well."""

    def __init__(self, mark: str) -> None:
        """`mark` is `NAME=VALUE`, a variable that every process of the job is started with."""
        read_end, self._write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write_end)
            _watch(read_end, mark.encode())
        os.close(read_end)

    def watch(self, group: int) -> None:
        os.write(self._write_end, f"{group}\n".encode())

    def dismiss(self) -> None:
        """The job is over; nobody needs to be killed."""
        os.write(self._write_end, b"0\n")
        os.close(self._write_end)
        os.waitpid(self.pid, 0)


def _watch(read_end: int, mark: bytes) -> None:
    os.setsid()  # a signal to the wrapper's group must not reach it
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    heard = b""
    while True:
        part = os.read(read_end, 64)
        if not part:
            break
        heard += part
    numbers = heard.split()
    group = int(numbers[-1]) if numbers else 0
    if group:
        kill_group(group, signal.SIGKILL)
        kill_marked(mark)
    os._exit(0)


def kill_marked(mark: bytes) -> None:
    """Kills every process that was started with `mark` in its environment, and what it starts meanwhile."""
    ends_at = time.monotonic() + REAP_SECONDS
    while time.monotonic() < ends_at:
        left = [pid for pid in _pids() if pid != os.getpid() and mark in _environment_of(pid)]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        time.sleep(_REAP_PAUSE_SECONDS)


def _environment_of(pid: int) -> List[bytes]:
    """What it was started with; nothing of a process that is another user's, or has ended."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def kill_group(group: int, number: int) -> None:
    """Signals a whole group; harmless where it is gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def end_leftovers(group: int, spared: Container[int]) -> None:
    """Kills what is left of a group and every other child of this process but `spared`, and waits for their end."""
    kill_group(group, signal.SIGKILL)
    ends_at = time.monotonic() + REAP_SECONDS
    while time.monotonic() < ends_at:
        # Killing a parent hands its children to us, so look again until there are none.
        left = [pid for pid in children(os.getpid()) if pid not in spared]
        if not left:
            return
        for pid in left:
            _kill_and_reap(pid)
        time.sleep(_REAP_PAUSE_SECONDS)


def _kill_and_reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return


def reap_adopted(spared: Container[int]) -> None:
    """Takes note of the end of those who became this process's children by their parent's end, as a subreaper must, or
    they would stay in the process table for ever."""
    if not hasattr(os, "waitid"):
        return
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in spared:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def children(parent: int) -> List[int]:
    """Processes whose parent is `parent`, zombies included; empty where there is no /proc."""
    return [pid for pid in _pids() if _parent_of(str(pid)) == parent]


def _pids() -> List[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _parent_of(pid: str) -> Optional[int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def private_bytes(root: int) -> int:
    """Memory that the descendants of `root`, and nobody else, hold; 0 where there is no /proc."""
    parents = {pid: _parent_of(str(pid)) for pid in _pids()}
    family = {root}
    found = True
    while found:
        grown = {pid for pid, parent in parents.items() if parent in family} - family
        family |= grown
        found = bool(grown)
    return sum(_private_of(pid) for pid in family - {root})


def _private_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
