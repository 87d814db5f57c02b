"""What a process leaves on disk: who it is, and how it ended. Written aside, synced, renamed, so never half there.

Each process has a folder of its own:

    order.json    what it was told to do (0600: it may hold a token); written by whoever starts it, first of all
    process.json  its identity; written by the process itself as its first act
    exit.json     how it ended; written by the process, or by the one that waited for it
    output.log    what it printed; opened for appending
"""

import json
import os
import time
from typing import Any, Dict, NamedTuple, Optional

ORDER = "order.json"
PROCESS = "process.json"
EXIT = "exit.json"
OUTPUT = "output.log"


class Identity(NamedTuple):
    """A process for all time: pids are used again, (boot, pid, start) never."""

    boot: str
    pid: int
    start: int
    """Start time in clock ticks since boot: field 22 of /proc/PID/stat (proc(5))."""


def boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def start_ticks(pid: int) -> Optional[int]:
    """When `pid` started, or None where there is no such process or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def own_identity() -> Identity:
    pid = os.getpid()
    return Identity(boot_id(), pid, start_ticks(pid) or 0)


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs."""
    return identity.boot == boot_id() and start_ticks(identity.pid) == identity.start


def write_json(path: str, document: Dict[str, Any], mode: int = 0o600) -> None:
    """Replaces `path` whole and durably."""
    aside = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_json(path: str) -> Optional[Dict[str, Any]]:
    """The document, or None where the file is not there or not a JSON object."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]


def write_identity(folder: str, **facts: Any) -> Identity:
    """Writes this process's identity into its folder, with whatever else is to be known of it."""
    identity = own_identity()
    write_json(os.path.join(folder, PROCESS), {**identity._asdict(), "written_at": time.time(), **facts})
    return identity


def read_identity(folder: str) -> Optional[Identity]:
    found = read_json(os.path.join(folder, PROCESS))
    if found is None:
        return None
    try:
        return Identity(str(found["boot"]), int(found["pid"]), int(found["start"]))
    except (KeyError, TypeError, ValueError):
        return None


def write_exit(folder: str, code: Optional[int], by: str, **facts: Any) -> None:
    """Records the end. `code` as the shell has it (negative: minus the signal's number), `by` is what brought it about:
    `exit`, `stop`, `max_runtime`, `signal`. An existing record stays: the first to know is right."""
    path = os.path.join(folder, EXIT)
    if not os.path.exists(path):
        write_json(path, {"code": code, "by": by, "ended_at": time.time(), **facts})
