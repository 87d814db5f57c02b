"""What a process leaves on disk: who it is, and how it ended. Written aside, synced, renamed, so never half there.

What is of no use once the machine has gone down, where a replica is, need not be synced: a process of ours that dies
leaves it readable all the same, and a power cut ends whoever it is about.

Each process has a folder of its own:

    order.json    what it was told to do (0600: it may hold a token); written by whoever starts it, first of all
    process.json  its identity; written by the process itself as its first act
    exit.json     how it ended; written by the process, or by the one that waited for it
    output.log    what it printed; opened for appending; whoever reads it is bothered by nothing in it
    models.json   of a replica with many models: how many it has loaded and let go of; written whenever that changes
"""

import json
import os
import time
from typing import IO, Any, Dict, NamedTuple, Optional

ORDER = "order.json"
PROCESS = "process.json"
EXIT = "exit.json"
OUTPUT = "output.log"
MODEL_COUNTS = "models.json"

TAIL_BYTES_MAX = 256 * 2**10
"""How far from its end a file's last lines are looked for."""

_BLOCK_BYTES = 64 * 2**10


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


def write_json(path: str, document: Dict[str, Any], mode: int = 0o600, *, durable: bool = True) -> None:
    """Replaces `path` whole, and durably unless it need not outlive the machine's next start."""
    aside = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise
    if not durable:
        return
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


def write_identity(folder: str, *, durable: bool = True) -> Identity:
    """Writes this process's identity into its folder."""
    identity = own_identity()
    document = {**identity._asdict(), "written_at": time.time()}
    write_json(os.path.join(folder, PROCESS), document, durable=durable)
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


def tail(path: str, lines: int, bytes_max: int = TAIL_BYTES_MAX) -> str:
    """The last `lines` lines within the last `bytes_max` bytes; empty where there is no such file. What is not UTF-8
    is replaced."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(tail_start(file, lines, bytes_max))
            content = file.read(bytes_max)
    except OSError:
        return ""
    return _whole_characters(content or b"").decode("utf-8", "replace")


def tail_start(file: "IO[bytes]", lines: int, bytes_max: int = TAIL_BYTES_MAX) -> int:
    """Where the last lines begin, looking back at most `bytes_max` bytes; leaves the file's position anywhere."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    earliest = max(0, end - bytes_max)
    wanted = lines
    at = end
    while at > earliest:
        begin = max(earliest, at - _BLOCK_BYTES)
        file.seek(begin)
        block = file.read(at - begin)
        # The line feed that ends the file ends its last line; it begins none.
        upto = len(block) - 1 if at == end and block.endswith(b"\n") else len(block)
        found = block.rfind(b"\n", 0, upto)
        while found != -1:
            wanted -= 1
            if wanted == 0:
                return begin + found + 1
            upto = found
            found = block.rfind(b"\n", 0, upto)
        at = begin
    return earliest


def _whole_characters(content: bytes) -> bytes:
    """Without the rest of a character that the beginning cuts through: continuation bytes are 10xxxxxx."""
    cut = 0
    while cut < min(3, len(content)) and content[cut] & 0xC0 == 0x80:
        cut += 1
    return content[cut:]
