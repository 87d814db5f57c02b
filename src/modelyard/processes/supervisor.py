"""`python -m modelyard.processes.supervisor [--host H] [--port P]`: keeps a yard's processes alive.

It holds the home's lock, opens the listening socket and passes it down, starts gateway, control and controller, starts
again what dies, and ends everything in order when it is told to go. What is not always needed is started when somebody
says so (`protocol.wishes`). It is small, because all hangs on it: standard library only, one thread, no loop but its
own.

Apps may have ports of their own, which come and go while it runs. The gateway opens those, and gives what listens there
to the supervisor to keep, which gives it to the next gateway.

A supervisor that comes after a dead one finds the others still at work. It takes the listening sockets from the living
gateway, adopts what is of its own version, replaces what is not, and says which.

    --clean   ends what a dead supervisor left behind, and goes.
"""

import argparse
import contextlib
import ctypes
import fcntl
import json
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard_worker.records import Identity, is_alive, own_identity, read_identity, read_json, start_ticks, write_json

from modelyard.domain.hosts import PORTS_MAX, is_loopback
from modelyard.domain.tokens import KEY_BYTES as TOKEN_KEY_BYTES
from modelyard.errors import Conflict, ModelyardError, StartFailed
from modelyard.log import start_log
from modelyard.protocol.wishes import DROP, KEEP, WISH_BYTES_MAX, port_in
from modelyard.settings import Home, YardSettings, home_from, settings_arguments
from modelyard.store.admitted import anybody_is_admitted
from modelyard.store.migrate import create_missing, needs_migration
from modelyard.store.private_files import make_private
from modelyard.version import VERSION

LISTEN_BACKLOG = 2048
RESTART_SECONDS_FIRST = 0.1
RESTART_SECONDS_MAX = 5.0
RESTART_SECONDS_MAX_MLFLOW = 60.0
"""An installation that fails is not tried again every few seconds."""

STEADY_SECONDS = 10.0
"""A process that lived so long has recovered; its next restart comes at once."""

STOP_SECONDS = {"dispatcher": 5.0, "gateway": 15.0, "controller": 60.0, "control": 10.0, "mlflow": 10.0}
"""How long each may take to end, in this order, before it is killed."""

START_SECONDS = 10.0
"""How long a controller that is started only to end everything may take to listen."""

HANDOVER_SECONDS = 3.0
LISTENING_MAX = 2 + PORTS_MAX
"""Sockets that a gateway has: the plain one, the one for TLS, and those of apps' own ports."""
_DOUBLINGS_MAX = 16
_PAUSE_SECONDS = 0.02
PR_SET_CHILD_SUBREAPER = 36

_log = logging.getLogger("modelyard.supervisor")


@dataclass(slots=True)
class _Kept:
    """One process that is kept alive."""

    name: str
    arguments: list[str]
    pass_fds: tuple[int, ...] = ()
    identity: Identity | None = None
    child: subprocess.Popen[bytes] | None = None
    """None where an earlier supervisor started it."""
    pidfd: int | None = None
    started_at: float = 0.0
    failures: int = 0
    start_again_at: float | None = None
    wanted: Path | None = None
    """It is kept alive only where this file is there; None is always."""
    pause_seconds_max: float = RESTART_SECONDS_MAX
    on_demand: bool = False
    """Started when somebody asks for it; when it ends by itself, it stays away until it is asked for again."""
    asked_again: bool = False
    """Somebody asked while it ran: it may not have heard, being about to go."""

    @property
    def is_wanted(self) -> bool:
        return self.wanted is None or self.wanted.exists()


class Supervisor:
    def __init__(self, home: Home, settings: YardSettings) -> None:
        self._home = home
        self._settings = settings
        self._stopping = False
        self._kept: list[_Kept] = []
        self._asking: socket.socket | None = None
        self._left: list[socket.socket] = []
        """What a gateway of another version listened on, in its order."""
        self._listeners: dict[int, socket.socket] = {}
        """What listens at ports of apps' own, kept for the next gateway."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # -- the story ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        self._home.make()
        self._home.make_sockets()
        with _lock(self._home):
            self._become_reaper()
            self._make_keys()
            self._migrate()
            self._check_access()
            found = self._find_living()
            listening, encrypted = self._listening_sockets(found)
            self._plan(listening, encrypted)
            self._adopt(found)
            self._asking = _listen_for_wishes(self._home.supervisor_socket)
            for kept in self._kept:
                if kept.identity is None and kept.is_wanted and not kept.on_demand:
                    self._start(kept)
            self._announce(listening, encrypted)
            while not self._stopping:
                self._wait()
                self._look()
            self._stop()
            return 0

    def _hear(self, number: int, _: object) -> None:
        """A signal; that it came wakes the wait, through the wake-up descriptor."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True

    # -- before ------------------------------------------------------------------------------------------------------

    def _become_reaper(self) -> None:
        """Orphans of the yard's processes become this one's children, so that none is lost sight of (prctl(2))."""
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, self._hear)
        signal.signal(signal.SIGCHLD, self._hear)

    def _make_keys(self) -> None:
        """The owner's key and the one that tokens are signed with, made once; readable by the owner alone."""
        # Other programs take it as an argument, dvc for one, and what begins with a hyphen for an option.
        for path, key in (
            (self._home.key, f"k{secrets.token_urlsafe(32)}\n".encode()),
            (self._home.token_key, secrets.token_bytes(TOKEN_KEY_BYTES)),
        ):
            if path.exists():
                path.chmod(0o600)
            else:
                make_private(path, key)

    def _check_access(self) -> None:
        """Raises Conflict where others could reach a yard that nobody but its owner may enter: whoever opens it to them
        decides first who they are."""
        host = self._settings.host
        if not is_loopback(host) and not anybody_is_admitted(self._home):
            raise Conflict(
                f"cannot listen on {host}: nobody is admitted to this yard yet",
                "`modelyard up` on loopback, `modelyard users add EMAIL --role admin` or `modelyard keys add`, `down`, "
                "then again",
            )

    def _migrate(self) -> None:
        create_missing(self._home)
        if needs_migration(self._home):
            command = [sys.executable, "-m", "modelyard.processes.migrate", "--home", str(self._home.root)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StartFailed(f"cannot bring the databases up to date: {done.stderr.strip()}")

    def _find_living(self) -> dict[str, Identity]:
        """What a dead supervisor's processes are still at work, if they are of this version and address."""
        written = read_json(str(self._home.processes)) or {}
        living = {name: identity for name, identity in _written_processes(written) if is_alive(identity)}
        same = written.get("version") == VERSION and written.get("arguments") == self._arguments()
        if living and not same:
            _log.info("replacing %s: another version or address", ", ".join(living))
            if "gateway" in living and written.get("arguments") == self._arguments():
                # Where only the version is another, whoever comes meanwhile waits for the new gateway.
                self._left = _take_over(self._home.gateway_socket)
            for identity in living.values():
                _end(identity)
            return {}
        return living

    def _arguments(self) -> list[str]:
        return settings_arguments(self._settings)

    def _listening_sockets(self, found: dict[str, Identity]) -> tuple[socket.socket, socket.socket | None]:
        """The plain one, and the one for TLS where it is asked for."""
        settings = self._settings
        wanted = 1 if settings.tls_port is None else 2
        taken = _take_over(self._home.gateway_socket) if "gateway" in found else self._left
        if len(taken) >= wanted:
            self._listeners = {one.getsockname()[1]: one for one in taken[wanted:]}
            return taken[0], taken[1] if wanted > 1 else None
        for one in taken:
            one.close()
        if "gateway" in found:
            _log.warning("the living gateway does not hand over its sockets; replacing it")
            _end(found.pop("gateway"))
        plain = _bind(settings.host, settings.port)
        return plain, _bind(settings.host, settings.tls_port) if settings.tls_port is not None else None

    def _certificate(self) -> tuple[str, str]:
        """Paths of the certificate and its key: those given, else of what the yard's own authority makes for it."""
        settings = self._settings
        if settings.tls_certificate is not None and settings.tls_key is not None:
            return settings.tls_certificate, settings.tls_key
        names = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower(), *settings.names}
        if not _is_any(settings.host):
            names.add(settings.host)
        command = [sys.executable, "-m", "modelyard.processes.certificates", "--home", str(self._home.root)]
        done = subprocess.run([*command, *sorted(names)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StartFailed(
                f"cannot make a certificate: {done.stderr.strip()[-500:]}", "give one with --tls-certificate"
            )
        return str(self._home.tls / "certificate.pem"), str(self._home.tls / "certificate.key")

    def _plan(self, listening: socket.socket, encrypted: socket.socket | None) -> None:
        home = ["--home", str(self._home.root)]
        gateway = [*home, "--fd", str(listening.fileno())]
        inherited = (listening.fileno(),)
        names = list(self._settings.names)
        if not is_loopback(self._settings.host):
            gateway += ["--predictions-need-key"]
            names += [socket.gethostname().lower(), self._settings.host]
        for name in names:
            gateway += ["--name", name]
        domain = ["--apps-domain", self._settings.apps_domain] if self._settings.apps_domain is not None else []
        gateway += domain
        if encrypted is not None:
            chain, key = self._certificate()
            gateway += ["--tls-fd", str(encrypted.fileno()), "--tls-certificate", chain, "--tls-key", key]
            inherited = (listening.fileno(), encrypted.fileno())
        self._kept = [
            _Kept("gateway", gateway, inherited),
            _Kept("control", [*home, *domain]),
            _Kept("controller", home),
            _Kept(
                "mlflow",
                home,
                wanted=self._home.tracking_wanted,
                pause_seconds_max=RESTART_SECONDS_MAX_MLFLOW,
            ),
            _Kept("dispatcher", home, on_demand=True),
        ]

    def _adopt(self, found: dict[str, Identity]) -> None:
        for kept in self._kept:
            identity = found.get(kept.name)
            if identity is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                # One that ends just now is found ended at the first look, like any other.
                kept.pidfd = os.pidfd_open(identity.pid)
                kept.identity = identity
                kept.started_at = time.monotonic()
                _log.info("adopted %s (pid %d)", kept.name, identity.pid)

    def _announce(self, listening: socket.socket, encrypted: socket.socket | None) -> None:
        """Says where the yard is; written last, so whoever reads it finds a yard. Clients on this machine use the plain
        port: what they send does not leave it."""
        host, port = listening.getsockname()[:2]
        own = _LOOPBACK.get(host) or str(host)
        shown = f"[{own}]" if ":" in own else own
        write_json(
            str(self._home.yard),
            {
                "url": f"http://{shown}:{port}",
                "host": host,
                "port": port,
                "tls_port": encrypted.getsockname()[1] if encrypted is not None else None,
                "version": VERSION,
                "started_at": time.time(),
                **own_identity()._asdict(),
            },
        )
        _log.info("the yard is at http://%s:%s", shown, port)

    # -- while -------------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until a process ends, a signal comes, or a start is due."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        if self._asking is not None:
            poll.register(self._asking, select.POLLIN)
        for kept in self._kept:
            if kept.pidfd is not None:
                poll.register(kept.pidfd, select.POLLIN)
        due = [one.start_again_at for one in self._kept if one.start_again_at is not None and one.is_wanted]
        pause = max(0.0, min(due) - time.monotonic()) * 1000 if due else None
        poll.poll(pause)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _hear_wishes(self) -> None:
        """What processes said since it was last looked. One that stays is looked at anyway, now that this woke us."""
        with contextlib.suppress(BlockingIOError):
            while self._asking is not None:
                word, descriptors, _, _ = socket.recv_fds(self._asking, WISH_BYTES_MAX, 1)
                self._hear_wish(word, [socket.socket(fileno=one) for one in descriptors])

    def _hear_wish(self, word: bytes, sent: list[socket.socket]) -> None:
        kept_port, dropped_port = port_in(word, KEEP), port_in(word, DROP)
        if kept_port is not None and sent:
            self._forget_listener(kept_port)
            if len(self._listeners) < PORTS_MAX:
                self._listeners[kept_port] = sent.pop()
        elif dropped_port is not None:
            self._forget_listener(dropped_port)
        for one in sent:
            one.close()
        for kept in self._kept:
            if not kept.on_demand or kept.name.encode() != word:
                continue
            if kept.identity is not None:
                kept.asked_again = True
            elif kept.start_again_at is None:
                kept.start_again_at = time.monotonic()

    def _forget_listener(self, port: int) -> None:
        listening = self._listeners.pop(port, None)
        if listening is not None:
            listening.close()

    def _look(self) -> None:
        """Finds what ended, reaps orphans, starts what is due."""
        self._hear_wishes()
        for kept in self._kept:
            if kept.identity is not None and not is_alive(kept.identity):
                self._note_end(kept)
        self._reap_orphans()
        for kept in self._kept:
            if not self._stopping and kept.identity is None and kept.is_wanted and _is_due(kept):
                self._start(kept)

    def _note_end(self, kept: _Kept) -> None:
        code = kept.child.poll() if kept.child is not None else None
        lived = time.monotonic() - kept.started_at
        kept.failures = 0 if lived >= STEADY_SECONDS else kept.failures + 1
        pause = _pause_seconds(kept.failures, kept.pause_seconds_max)
        if kept.on_demand and code == 0:
            _log.info("%s went: it had nothing to do", kept.name)
        elif not self._stopping:
            _log.warning("%s ended (%s) after %.1f s; starting it again in %.1f s", kept.name, code, lived, pause)
        if kept.pidfd is not None:
            os.close(kept.pidfd)
        kept.identity = kept.child = kept.pidfd = None
        over = kept.on_demand and code == 0 and not kept.asked_again
        kept.start_again_at = None if over else time.monotonic() + pause
        self._write_processes()

    def _start(self, kept: _Kept) -> None:
        kept.start_again_at = None
        kept.asked_again = False
        command = [sys.executable, "-m", f"modelyard.processes.{kept.name}", *kept.arguments]
        inherited = kept.pass_fds
        if kept.name == "gateway":
            listeners = [one.fileno() for one in self._listeners.values()]
            inherited = (*inherited, *listeners)
            command += [f"--port-fd={one}" for one in listeners]
        try:
            log = os.open(
                self._home.logs / f"{kept.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=inherited,
                    start_new_session=True,
                )
            finally:
                os.close(log)
        except OSError as error:
            kept.failures += 1
            kept.start_again_at = time.monotonic() + kept.pause_seconds_max
            _log.error("cannot start %s: %s", kept.name, error)
            return
        kept.child = child
        kept.started_at = time.monotonic()
        kept.identity = Identity(own_identity().boot, child.pid, start_ticks(child.pid) or 0)
        kept.pidfd = os.pidfd_open(child.pid)
        self._write_processes()

    def _write_processes(self) -> None:
        processes = [{"name": one.name, **one.identity._asdict()} for one in self._kept if one.identity is not None]
        document = {"version": VERSION, "arguments": self._arguments(), "processes": processes}
        with contextlib.suppress(OSError):
            write_json(str(self._home.processes), document)

    def _reap_orphans(self) -> None:
        """Zombies that came to us as subreaper. Our own children are left to their Popen."""
        ours = {kept.child.pid for kept in self._kept if kept.child is not None}
        for pid in _children_of(os.getpid()):
            if pid not in ours and start_ticks(pid) is None:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    # -- after -------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """In order: no new requests, then replicas and jobs, then the api; at last whatever is left."""
        for name in ("dispatcher", "gateway", "controller", "control", "mlflow"):
            kept = next(one for one in self._kept if one.name == name)
            if kept.identity is None:
                if name != "controller":
                    continue
                # Only the controller can end replicas and jobs in order.
                self._start(kept)
                _wait_until_it_listens(self._home.controller_socket)
            identity = kept.identity
            if identity is not None:
                _log.info("ending %s", name)
                _end(identity, STOP_SECONDS[name])
                if kept.child is not None:
                    kept.child.poll()
        self._reap_orphans()
        _end_leftovers(self._home)
        for pid in _descendants_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in (self._home.yard, self._home.processes, self._home.ports, self._home.tracking_wanted):
            path.unlink(missing_ok=True)
        self._home.remove_sockets()
        _log.info("down")


@contextlib.contextmanager
def _lock(home: Home) -> Generator[None]:
    """Held for life: a home has one supervisor. Raises Conflict where another lives."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        at = (read_json(str(home.yard)) or {}).get("url", "an address it has not written yet")
        raise Conflict(
            f"cannot start a yard in {home.root}: one runs there already, at {at}",
            "use it, or `modelyard down` first, or set MODELYARD_HOME to another folder",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(LISTEN_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise Conflict(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            "choose another with --port, or --port 0 for a free one",
        ) from error
    return listening


def _listen_for_wishes(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    asking.bind(str(path))
    path.chmod(0o600)
    asking.setblocking(False)
    return asking


def _take_over(path: Path) -> list[socket.socket]:
    """The listening sockets of a living gateway; none where it does not give them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(HANDOVER_SECONDS)
        try:
            asking.connect(str(path))
            _, descriptors, _, _ = socket.recv_fds(asking, 64, LISTENING_MAX)
        except OSError:
            return []
    return [socket.socket(fileno=one) for one in descriptors]


def _wait_until_it_listens(path: Path) -> None:
    """Until somebody answers at that socket, or the limit has passed."""
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.connect(str(path))
            return
        time.sleep(_PAUSE_SECONDS)


def _is_due(kept: _Kept) -> bool:
    if kept.start_again_at is None:
        return not kept.on_demand
    return time.monotonic() >= kept.start_again_at


def _pause_seconds(failures: int, most: float = RESTART_SECONDS_MAX) -> float:
    """How long to wait before the next start after so many failures in a row, at `most`."""
    if not failures:
        return 0.0
    return min(most, RESTART_SECONDS_FIRST * 2.0 ** min(failures - 1, _DOUBLINGS_MAX))


def _written_processes(document: dict[str, Any]) -> list[tuple[str, Identity]]:
    """Names and identities in `processes.json`; what cannot be read is nobody."""
    found: list[tuple[str, Identity]] = []
    for one in document.get("processes") or ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found.append((str(one["name"]), Identity(str(one["boot"]), int(one["pid"]), int(one["start"]))))
    return found


_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (nothing is bound by it)
"""Where a client on this machine finds what listens on all its addresses."""


def _is_any(host: str) -> bool:
    return host in _LOOPBACK


def _end(identity: Identity, limit_seconds: float = 0.0) -> None:
    """Ends that very process: politely within the limit, then by force."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if not is_alive(identity):
            return
        if limit_seconds:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            if select.select([pidfd], [], [], limit_seconds)[0]:
                return
            _log.warning("pid %d did not end within %.0f s; killing it", identity.pid, limit_seconds)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], HANDOVER_SECONDS)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def _end_leftovers(home: Home) -> int:
    """Kills every process that the engine's folders know and that still lives; returns how many."""
    ended = 0
    for kind in ("jobs", "replicas", "templates"):
        for folder in (home.engine / kind).glob("*"):
            identity = read_identity(str(folder))
            if identity is not None and is_alive(identity):
                _end(identity)
                ended += 1
    return ended


def _children_of(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(word) for word in task.read_text().split()]
    return children


def _descendants_of(pid: int) -> list[int]:
    found = _children_of(pid)
    for child in found[:]:
        found += _descendants_of(child)
    return found


def clean(home: Home) -> int:
    """Ends what a dead supervisor left behind."""
    home.make()
    with _lock(home):
        written = read_json(str(home.processes)) or {}
        ended = 0
        for _, identity in _written_processes(written):
            if is_alive(identity):
                _end(identity)
                ended += 1
        ended += _end_leftovers(home)
        for path in (home.yard, home.processes, home.ports, home.tracking_wanted):
            path.unlink(missing_ok=True)
    sys.stdout.write(json.dumps({"ended": ended}) + "\n")
    return 0


def main() -> int:
    defaults = YardSettings()
    parser = argparse.ArgumentParser(prog="modelyard-supervisor")
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port)
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--apps-domain")
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--tls-certificate")
    parser.add_argument("--tls-key")
    parser.add_argument("--clean", action="store_true", help="end what a dead supervisor left behind, and go")
    given = parser.parse_args()
    home = home_from(os.environ)
    start_log("supervisor")
    try:
        if given.clean:
            return clean(home)
        names = tuple(str(name).lower() for name in given.name)
        settings = YardSettings(
            given.host, given.port, names, given.apps_domain, given.tls_port, given.tls_certificate, given.tls_key
        )
        return Supervisor(home, settings).run()
    except ModelyardError as error:
        sys.stderr.write(f"{error.message}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 1


if __name__ == "__main__":
    sys.exit(main())
