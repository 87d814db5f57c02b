"""What a yard needs of a machine, check by check. Each finding has a verdict and, where it is not good, a remedy."""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modelyard.cli.supervisor import find_supervisor
from modelyard.cli.times import size
from modelyard.domain.disk import free_limit_bytes
from modelyard.errors import ModelyardError
from modelyard.sdk.client import Client
from modelyard.settings import SOCKET_PATH_BYTES_MAX, Home, care_from

MEMORY_BYTES_MIN = 1 * 2**30
FORK_SECONDS = 20.0
SQLITE_MIN = (3, 35, 0)
"""First with RETURNING."""

# Importing numpy with its threads held at one, forking, and computing in the child: what a template does.
_FORK = """
import os
import numpy
square = numpy.ones((200, 200))
square @ square
child = os.fork()
if child == 0:
    square @ square
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


_ENGINE = """
import sys
from pathlib import Path
from modelyard.engines.local.control_groups import MOUNT, delegated_group
from modelyard.engines.local.gpus import gpus
from modelyard.engines.local.memory import memory_of_groups
own = Path("/proc") / sys.argv[1] / "cgroup"
print(delegated_group(MOUNT, own) or "")
print(min((one.total_bytes for one in memory_of_groups(MOUNT, own)), default=0))
for one in gpus():
    print(one)
"""

LIMIT_SECONDS = 10.0

# Whether more memory than the limit is refused to a process, as it must be to a replica.
_LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, (256 * 2**20, 256 * 2**20))
try:
    bytearray(512 * 2**20)
except MemoryError:
    raise SystemExit(0)
raise SystemExit(1)
"""


class Verdict(StrEnum):
    GOOD = "good"
    POOR = "poor"  # works, but not as it could
    BAD = "bad"  # the yard cannot work like this


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    verdict: Verdict
    found: str
    remedy: str | None = None


def check_machine(home: Home, port: int) -> list[Finding]:
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        lambda: _home(home),
        lambda: _key(home),
        lambda: _sockets(home),
        lambda: _disk(home),
        lambda: _sqlite(home),
        _uv,
        _fork,
        lambda: _resources(home),
        lambda: _port(home, port),
        lambda: _yard(home),
    ]
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= (3, 11)
    yield Finding("python", _verdict(good), found, None if good else "install Python 3.11 or later")


def _home(home: Home) -> Iterator[Finding]:
    try:
        home.make()
        mode = stat.S_IMODE(home.root.stat().st_mode)
        with tempfile.TemporaryFile(dir=home.root):
            pass
    except ModelyardError as error:
        yield Finding("home", Verdict.BAD, error.message, error.hint)
    except OSError as error:
        yield Finding("home", Verdict.BAD, f"{home.root}: {error.strerror}", "set MODELYARD_HOME to a folder of yours")
    else:
        private = not mode & 0o077
        remedy = None if private else f"chmod 700 {home.root}"
        yield Finding("home", _verdict(private), f"{home.root}, mode {mode:o}", remedy)


def _key(home: Home) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(home.key.stat().st_mode)
    except FileNotFoundError:
        yield Finding("key", Verdict.GOOD, "none yet; `modelyard up` makes it")
        return
    private = not mode & 0o077
    yield Finding("key", _verdict(private), f"mode {mode:o}", None if private else f"chmod 600 {home.key}")


def _sockets(home: Home) -> Iterator[Finding]:
    length = len(os.fsencode(home.replica_sockets)) + 41
    good = length <= SOCKET_PATH_BYTES_MAX
    found = f"{home.sockets}, paths of up to {length} of {SOCKET_PATH_BYTES_MAX} bytes"
    yield Finding("sockets", _verdict(good), found, None if good else "set MODELYARD_HOME to a shorter path")


def _disk(home: Home) -> Iterator[Finding]:
    found = shutil.disk_usage(_existing(home.root))
    care = care_from(os.environ)
    limit = free_limit_bytes(found.total, care.disk_free_bytes_min, care.disk_free_share_min)
    good = found.free >= limit
    remedy = None if good else f"new work is refused until {size(limit)} are free: `modelyard gc`, or free some space"
    yield Finding("disk", _verdict(good), f"{size(found.free)} free", remedy)


def _sqlite(home: Home) -> Iterator[Finding]:
    try:
        with tempfile.TemporaryDirectory(dir=_existing(home.root)) as folder:
            database = sqlite3.connect(Path(folder) / "try.db")
            mode = str(database.execute("PRAGMA journal_mode=WAL").fetchone()[0])
            database.close()
    except (OSError, sqlite3.Error) as error:
        yield Finding("sqlite", Verdict.BAD, str(error), "use a home on a local disk")
        return
    recent = sqlite3.sqlite_version_info >= SQLITE_MIN
    good = recent and mode == "wal"
    remedy = (
        None if good else ("use a home on a local disk" if recent else "install a Python with SQLite 3.35 or later")
    )
    yield Finding("sqlite", _verdict(good), f"{sqlite3.sqlite_version}, journal {mode}", remedy)


def _uv() -> Iterator[Finding]:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    remedy = None if found else "pip install uv; environments of packages are built with it"
    yield Finding("uv", Verdict.GOOD if found else Verdict.POOR, found or "not found", remedy)


def _fork() -> Iterator[Finding]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _FORK],
            env={**os.environ, **threads},
            capture_output=True,
            timeout=FORK_SECONDS,
            check=False,
        )
        good = done.returncode == 0
        found = "numpy computes after a fork" if good else f"numpy fails after a fork, code {done.returncode}"
    except subprocess.TimeoutExpired:
        good, found = False, f"numpy hangs after a fork ({FORK_SECONDS:g} s)"
    remedy = None if good else "replicas will start in fresh processes, which takes a second each"
    yield Finding("fork", Verdict.GOOD if good else Verdict.POOR, found, remedy)


def _resources(home: Home) -> Iterator[Finding]:
    """What there is to hand out, and what holds replicas to what they state."""
    group, bound_bytes, gpus = _asked_of_engine(home)
    cores = len(os.sched_getaffinity(0))
    yield Finding("cores", Verdict.GOOD, str(cores))
    yield _memory(bound_bytes)
    yield _memory_limits(group)
    if group:
        held = f"compute.cpu is a share of the cores below {group}: kept where all are wanted, more where some are idle"
    else:
        held = "compute.cpu is only reserved: no more replicas start than fit, and nothing holds one to it"
    yield Finding("cpu", Verdict.GOOD, held)
    yield _eviction()
    yield Finding("gpu", Verdict.GOOD, f"{', '.join(gpus)}; compute.gpu hands them out" if gpus else "none found")


def _memory(bound_bytes: int) -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    usable = min(total, bound_bytes or total)
    good = usable >= MEMORY_BYTES_MIN
    remedy = None if good else f"a yard wants {size(MEMORY_BYTES_MIN)} at least"
    found = f"{size(total)}, {size(free)} free now"
    found += f"; a control group gives {size(usable)} of it" if usable < total else ""
    return Finding("memory", Verdict.GOOD if good else Verdict.POOR, found, remedy)


def _memory_limits(group: str) -> Finding:
    """What `compute.mem` is enforced with here."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LIMIT], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        bounded = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        bounded = False
    watched = Path("/proc/self/smaps_rollup").exists()
    means = [
        *([f"control groups below {group}"] if group else []),
        *(["RLIMIT_DATA"] if bounded else []),
        *(["a watch on private memory"] if watched else []),
    ]
    found = f"compute.mem is kept by {', '.join(means)}" if means else "compute.mem is only reserved, not kept"
    found += "" if group else "; this yard has no control group of its own to divide"
    good = bounded and watched
    remedy = None if good else "a replica may take more memory than its endpoint states: leave some free"
    return Finding("limits", Verdict.GOOD if good else Verdict.POOR, found, remedy)


def _eviction() -> Finding:
    """When endpoints that nobody asks make place."""
    care = care_from(os.environ)
    keep_free = min(
        care.memory_free_bytes_min,
        care.memory_free_share_min * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )
    found = f"endpoints at min_replicas 0 that nobody asks make place so that {size(int(keep_free))} stay available"
    if care.replicas_bytes_max:
        found += f", and replicas hold {size(int(care.replicas_bytes_max))} together at most"
    return Finding("eviction", Verdict.GOOD, found)


def _asked_of_engine(home: Home) -> tuple[str, int, list[str]]:
    """The control group that replicas get theirs below, empty where there is none; the memory that groups give, 0 where
    they set no bound; and the GPUs that are handed out. As the engine sees it, in a process of its own, for the yard of
    this home where it runs, else for one that would be started from here."""
    running = find_supervisor(home)
    place = str(running.identity.pid) if running is not None and running.alive else "self"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ENGINE, place], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
        )
        group, bound, *gpus = done.stdout.splitlines()
        return group, int(bound), gpus
    except (OSError, subprocess.SubprocessError, ValueError):
        return "", 0, []


def _port(home: Home, port: int) -> Iterator[Finding]:
    ours = find_supervisor(home)
    if ours is not None and ours.alive:
        yield Finding("port", Verdict.GOOD, f"this home's yard listens at {ours.url}")
        return
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            yield Finding("port", Verdict.POOR, f"{port}: {error.strerror}", "start with `modelyard up --port 0`")
        else:
            yield Finding("port", Verdict.GOOD, f"{port} is free")


def _yard(home: Home) -> Iterator[Finding]:
    ours = find_supervisor(home)
    if ours is None or not ours.alive:
        yield Finding("yard", Verdict.GOOD, "does not run; `modelyard up` starts it")
        return
    with Client(ours.url) as client:
        good = client.healthy()
    remedy = None if good else f"`modelyard down`, then `modelyard up`; logs are in {home.logs}"
    yield Finding("yard", _verdict(good), "answers" if good else "runs but does not answer", remedy)


def _existing(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place


def _verdict(good: bool) -> Verdict:
    return Verdict.GOOD if good else Verdict.BAD
