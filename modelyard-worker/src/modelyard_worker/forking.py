"""What a process does around a fork, so that parent and child never hold each other's things."""

import contextlib
import os
import signal
import socket
import sys
from typing import Any, Iterable, Iterator, List, NoReturn, Tuple

from modelyard_worker.records import OUTPUT


def thread_count() -> int:
    """Threads of this process; 0 where the system does not say, and a fork is then never known to be safe."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def open_descriptors() -> List[int]:
    """Open files of this process beyond input, output and errors."""
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []
    # The folder itself was open while it was listed.
    return [one for one in found if one > 2 and _is_open(one)]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


# The parent


def watch_children() -> Tuple[socket.socket, socket.socket]:
    """Makes the end of a child readable: a byte arrives on the first socket; the system writes to the second."""
    readable, written = socket.socketpair()
    readable.setblocking(False)
    written.setblocking(False)
    # A handler that does nothing: without one the signal would not be seen at all.
    signal.signal(signal.SIGCHLD, _seen)
    signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    return readable, written


def _seen(number: int, frame: Any) -> None:
    pass


def drain(readable: socket.socket) -> None:
    """Takes the bytes that woke us; what has ended is asked of the system."""
    with contextlib.suppress(BlockingIOError):
        while readable.recv(4096):
            pass


def ended_children() -> Iterator[Tuple[int, int]]:
    """Each child that has ended since, as (process id, exit code, or minus the signal's number)."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


# The child


def leave_parent(folder: str, descriptors: Iterable[int]) -> None:
    """Makes a forked child a process of its own: a session, signals as they were, its own output, nothing inherited."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    output = os.open(os.path.join(folder, OUTPUT), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)


def end(code: int) -> NoReturn:
    """Ends a forked child without running what its parent registered for its own end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
