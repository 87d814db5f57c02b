"""Replicas: forked from a template or started fresh, each with a folder that remembers it across a controller's death.

In the folder stand `engine.json` (what this engine decided and saw), then `order.json` (the intent), then what the
process itself writes: `process.json`, `exit.json`, `output.log`. None of it is synced before the process starts: no
replica outlives the machine, and a request may be waiting for this one.
"""

import asyncio
import contextlib
import logging
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelyard_worker import orders
from modelyard_worker.packages import read_package
from modelyard_worker.records import EXIT, ORDER, OUTPUT, Identity, boot_id, read_identity, read_json, tail, write_json
from modelyard_worker.stamps import stamped, without_stamps

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.model_folders import model_folder_document
from modelyard.domain.names import name_key
from modelyard.engines.local.control_groups import ControlGroups, Strike
from modelyard.engines.local.gpus import free_gpus, visible
from modelyard.engines.local.memory import LIMIT_LOOK_SECONDS, MemoryWatch, private_bytes
from modelyard.engines.local.probe import PROBE_SECONDS, probe
from modelyard.engines.local.processes import (
    Watched,
    identity_of,
    identity_of_child,
    kill,
    start_worker,
    worker_environment,
)
from modelyard.engines.local.templates import CLAIM_SECONDS, CannotFork, Templates
from modelyard.engines.ports import Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import StartFailed

ENGINE = "engine.json"

APPEAR_SECONDS = 15.0
"""How long a replica that an earlier controller was starting may take to appear; then it never came."""

EXIT_RECORD_SECONDS = 0.5
"""How long after its end a forked replica's exit record is waited for: its template writes it, if that lives."""

EXIT_RECORD_PAUSE_SECONDS = 0.01

KILLED_BY_KERNEL = "the system killed it to free memory"

_log = logging.getLogger("modelyard.controller")


@dataclass(slots=True)
class _Facts:
    """What `engine.json` holds. Times are wall clock."""

    cpu_millis: int
    memory_bytes: int
    started_at: float
    forked: bool = True
    why_fresh: str | None = None
    python: str | None = None
    stop_began_at: float | None = None
    killed: bool = False
    ended_at: float | None = None
    exit_code: int | None = None
    reason: str | None = None
    interrupted: bool = False
    out_of_memory: bool = False
    gpus: list[str] = field(default_factory=list[str])
    """Those that it has for itself."""
    temporary: str | None = None
    """Its folder for what it needs no longer than it lives."""
    notes: dict[str, str | float] = field(default_factory=dict[str, str | float])


@dataclass(slots=True)
class _Replica:
    order: orders.ReplicaOrder
    facts: _Facts
    watched: Watched | None = None
    """None until its process is there."""
    appear_until: float | None = None
    """Monotonic; set where an earlier controller, or a start that was given up, may have left a process on its way."""

    @property
    def alive(self) -> bool:
        return self.facts.ended_at is None


class Replicas:
    def __init__(
        self,
        folder: Path,
        sockets: Path,
        templates: Templates,
        changed: Callable[[], None],
        probe_seconds: float = PROBE_SECONDS,
        gpus: tuple[str, ...] = (),
        groups: ControlGroups | None = None,
        copies: Mapping[str, Any] | None = None,
    ) -> None:
        """Finds what an earlier controller left: living replicas are watched again, ended ones are facts still.
        `copies` says where those of models in buckets are kept, as `many_models.ModelsOrder` has it."""
        self._folder = folder
        self._sockets = sockets
        self._templates = templates
        self._changed = changed
        self._probe_seconds = probe_seconds
        self._gpus = gpus
        self._groups = groups or ControlGroups()
        self._copies = dict(copies or {})
        self._memory = MemoryWatch()
        self._limits_looked_at = 0.0
        self._known: dict[str, _Replica] = {}
        self._by_endpoint: dict[str, dict[str, _Replica]] = {}
        self._limited: set[str] = set()
        """Living replicas that may take only so much memory."""
        self._appearing: set[str] = set()
        """Replicas whose process somebody else was starting."""
        self._changed_endpoints: set[str] = set()
        self._closed = False
        for left in sorted(folder.iterdir()):
            self._adopt(left)
        self._templates.keep_only(self._in_use)

    # -- what is there -----------------------------------------------------------------------------------------------

    def sights(self, endpoint: str | None = None) -> list[ReplicaSight]:
        if endpoint is not None:
            return [_sight(one) for one in self._by_endpoint.get(name_key(endpoint), {}).values()]
        self._look()
        return [_sight(one) for one in self._known.values()]

    def sight(self, name: str) -> ReplicaSight | None:
        found = self._known.get(name)
        return None if found is None else _sight(found)

    def take_changed(self) -> set[str]:
        """Endpoints of whose replicas something has changed since the last call."""
        self._look()
        changed, self._changed_endpoints = self._changed_endpoints, set()
        return changed

    def living(self) -> list[str]:
        self._look()
        return [name for name, one in self._known.items() if one.alive]

    def processes(self) -> dict[str, int]:
        """Process ids of the living."""
        return {
            name: one.watched.identity.pid for name, one in self._known.items() if one.alive and one.watched is not None
        }

    def _look(self) -> None:
        self._memory.look()
        self._look_at_limits()
        for name in sorted(self._appearing):
            self._look_for_process(name, self._known[name])

    def _look_at_limits(self) -> None:
        """Ends replicas that hold more memory than they may: the rest of the machine is not theirs."""
        now = time.monotonic()
        if now - self._limits_looked_at < LIMIT_LOOK_SECONDS:
            return
        self._limits_looked_at = now
        for name in list(self._limited):
            replica = self._known[name]
            limit = replica.facts.memory_bytes
            if replica.watched is None or replica.facts.out_of_memory:
                continue
            held = private_bytes(replica.watched.identity.pid, limit)
            if held > limit:
                replica.facts.out_of_memory = True
                replica.facts.reason = over_limit(held, limit)
                self._write_facts(replica)
                replica.watched.send(signal.SIGKILL)

    def _know(self, name: str, replica: _Replica) -> None:
        self._known[name] = replica
        if replica.alive and replica.facts.memory_bytes:
            self._limited.add(name)
        self._by_endpoint.setdefault(name_key(replica.order.endpoint), {})[name] = replica
        self._note_change(replica)

    def _note_change(self, replica: _Replica) -> None:
        self._changed_endpoints.add(name_key(replica.order.endpoint))

    def room(self, spec: EndpointSpec, cpu_millis: int, memory_bytes: int) -> int:
        """How many of this size fit beside those that live, on a machine of that size."""
        fits = 2**31
        if not (spec.cpu_millis or spec.memory_bytes or spec.gpus):
            return fits
        living = [one.facts for one in self._known.values() if one.alive]
        if spec.cpu_millis:
            fits = (cpu_millis - sum(one.cpu_millis for one in living)) // spec.cpu_millis
        if spec.memory_bytes:
            fits = min(fits, (memory_bytes - sum(one.memory_bytes for one in living)) // spec.memory_bytes)
        if spec.gpus:
            fits = min(fits, len(self._free_gpus()) // spec.gpus)
        return max(0, fits)

    def _free_gpus(self) -> list[str]:
        return free_gpus(self._gpus, (gpu for one in self._known.values() if one.alive for gpu in one.facts.gpus))

    def reserved_memory_bytes(self) -> int:
        """What the living ones reserve."""
        return sum(one.facts.memory_bytes for one in self._known.values() if one.alive)

    # -- starting ----------------------------------------------------------------------------------------------------

    async def start(self, order: ReplicaOrder) -> None:
        """Raises StartFailed."""
        replica = self._write_intent(order)
        try:
            identity, child = await self._start_process(order, replica, self._folder / order.id)
        except StartFailed as error:
            self._append_output(order.id, f"{error.message}\n")
            self._end(order.id, {"reason": error.message})
            raise
        except BaseException:
            # Given up half-way: a template may fork it all the same, and whoever comes next will see to it.
            replica.appear_until = time.monotonic() + APPEAR_SECONDS
            self._appearing.add(order.id)
            raise
        self._watch(order.id, replica, identity, child)

    async def _start_process(
        self, order: ReplicaOrder, replica: _Replica, folder: Path
    ) -> tuple[Identity, "subprocess.Popen[bytes] | None"]:
        threads = _numeric_threads(order.spec)
        if replica.facts.why_fresh is None:
            forked = await self._fork(order, replica, folder, threads)
            if forked is not None:
                return forked, None
        replica.facts.forked = False
        self._write_facts(replica)
        environment = worker_environment(threads, self._environment_of(order, replica), order.python)
        child = start_worker("replica", folder, environment, order.python)
        return identity_of_child(child), child

    async def _fork(self, order: ReplicaOrder, replica: _Replica, folder: Path, threads: int) -> Identity | None:
        """None where a fresh process is the way, with the reason written down. Raises StartFailed."""
        environment = self._environment_of(order, replica)
        try:
            package = read_package(order.package_folder)
            pid = await self._templates.fork(package, order.spec.package, folder, threads, environment, order.python)
        except ValueError as error:
            raise StartFailed(str(error)) from error
        except (CannotFork, StartFailed) as error:
            replica.facts.why_fresh = str(error)
            _log.warning("replica %s: fresh process instead of a fork: %s", order.id, error)
            return None
        # One that has ended already is known by what its template writes down of it.
        return identity_of(pid) or Identity(boot_id(), pid, 0)

    def _environment_of(self, order: ReplicaOrder, replica: _Replica) -> dict[str, str]:
        """With a folder of its own for temporary files; under the system's, as paths of sockets in it must be short."""
        temporary = replica.facts.temporary
        added = visible(self._gpus, replica.facts.gpus) | ({"TMPDIR": temporary} if temporary is not None else {})
        return {**order.environment, **added}

    def _write_intent(self, order: ReplicaOrder) -> _Replica:
        if order.id in self._known:
            raise StartFailed(f"cannot start replica {order.id}: it is known already")
        spec = order.spec
        worker_order = orders.ReplicaOrder(
            id=order.id,
            endpoint=order.endpoint,
            version=order.version,
            package=order.package_folder,
            package_digest=spec.package,
            socket=str(self._sockets / f"{order.id}.s"),
            token=secrets.token_hex(32),
            max_batch_size=spec.max_batch_size,
            threads=spec.threads_per_process,
            numeric_threads=_numeric_threads(spec),
            max_in_flight=spec.max_in_flight,
            max_body_bytes=spec.max_body_bytes,
            memory_bytes=spec.memory_bytes,
            models={**model_folder_document(spec.models), **self._copies} if spec.models is not None else None,
            drain_seconds=spec.drain_seconds,
            timeout_seconds=spec.timeout_seconds,
        )
        free = self._free_gpus()
        if len(free) < spec.gpus:
            raise StartFailed(
                f"cannot start replica {order.id}: it asks for {spec.gpus} GPUs, and {len(free)} of {len(self._gpus)} "
                "of this machine are free",
                "`modelyard doctor` says what is there",
            )
        facts = _Facts(
            gpus=free[: spec.gpus],
            cpu_millis=spec.cpu_millis or 0,
            memory_bytes=spec.memory_bytes or 0,
            started_at=time.time(),
            forked=order.why_fresh is None,
            why_fresh=order.why_fresh,
            python=order.python,
        )
        replica = _Replica(worker_order, facts)
        folder = self._folder / order.id
        try:
            folder.mkdir(mode=0o700)
            if "TMPDIR" not in order.environment:
                facts.temporary = tempfile.mkdtemp(prefix="modelyard-")
            self._write_facts(replica)
            write_json(str(folder / ORDER), worker_order._asdict(), durable=False)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if facts.temporary is not None:
                shutil.rmtree(facts.temporary, ignore_errors=True)
            raise StartFailed(f"cannot start replica {order.id}: {error}", "free disk space under the home") from error
        self._know(order.id, replica)
        return replica

    def _write_facts(self, replica: _Replica) -> None:
        self._note_change(replica)
        write_json(str(self._folder / replica.order.id / ENGINE), asdict(replica.facts), durable=False)

    def _append_output(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError), (self._folder / name / OUTPUT).open("a") as file:
            file.write(text)

    def expect_no_more_forks(self) -> None:
        """To be called when no template lives any more: what one has forked says within a moment who it is."""
        limit = time.monotonic() + CLAIM_SECONDS
        for replica in map(self._known.__getitem__, self._appearing):
            if replica.facts.forked and replica.appear_until is not None:
                replica.appear_until = min(replica.appear_until, limit)

    # -- while it lives ----------------------------------------------------------------------------------------------

    async def probe(self, name: str, limit_seconds: float) -> Probe:
        found = self._known.get(name)
        if found is None:
            return Probe(ok=False, reason="no replica of that id is known")
        order = found.order
        return await probe(order, limit_seconds, self._probe_seconds, lambda: found.alive)

    def note(self, name: str, notes: dict[str, str | float]) -> None:
        found = self._known.get(name)
        if found is not None:
            found.facts.notes.update(notes)
            self._write_facts(found)

    def stop(self, name: str, *, kill: bool) -> None:
        found = self._known.get(name)
        if found is None or not found.alive:
            return
        # First the word, then the signal: whoever sees the end must know whose doing it was.
        if found.facts.stop_began_at is None or (kill and not found.facts.killed):
            found.facts.stop_began_at = found.facts.stop_began_at or time.time()
            found.facts.killed = found.facts.killed or kill
            with contextlib.suppress(OSError):
                self._write_facts(found)
        self._signal(found)

    def _signal(self, replica: _Replica) -> None:
        if replica.watched is not None and replica.facts.stop_began_at is not None:
            replica.watched.send(signal.SIGKILL if replica.facts.killed else signal.SIGTERM)

    def _watch(self, name: str, replica: _Replica, identity: Identity, child: "subprocess.Popen[bytes] | None") -> None:
        replica.watched = Watched(identity, lambda: self._process_ended(name), child)
        if replica.facts.memory_bytes or replica.facts.cpu_millis:
            self._groups.hold(name, identity.pid, replica.facts.memory_bytes, replica.facts.cpu_millis)
        self._appearing.discard(name)
        self._note_change(replica)
        self._signal(replica)

    # -- its end -----------------------------------------------------------------------------------------------------

    def output_tail(self, name: str, lines: int) -> str:
        return without_stamps(tail(str(self._folder / name / OUTPUT), lines))

    def add_to_output(self, name: str, line: str) -> None:
        if name in self._known:
            self._append_output(name, stamped("ERROR", line))

    def forget(self, name: str) -> None:
        found = self._known.get(name)
        if found is not None and not found.alive:
            del self._known[name]
            self._appearing.discard(name)
            of_endpoint = self._by_endpoint[name_key(found.order.endpoint)]
            del of_endpoint[name]
            if not of_endpoint:
                del self._by_endpoint[name_key(found.order.endpoint)]
            with contextlib.suppress(OSError):
                Path(found.order.socket).unlink()
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def close(self) -> None:
        self._closed = True
        for one in self._known.values():
            if one.watched is not None:
                one.watched.close()

    def _process_ended(self, name: str, until: float | None = None) -> None:
        replica = self._known.get(name)
        if self._closed or replica is None or not replica.alive:
            return
        loop = asyncio.get_running_loop()
        record = read_json(str(self._folder / name / EXIT))
        if record is None and replica.facts.forked:
            until = loop.time() + EXIT_RECORD_SECONDS if until is None else until
            if loop.time() < until:
                loop.call_later(EXIT_RECORD_PAUSE_SECONDS, self._process_ended, name, until)
                return
        self._end(name, record)

    def _end(self, name: str, record: dict[str, Any] | None, *, interrupted: bool = False) -> None:
        """Writes down that it is gone, so that it stays so, and since then, for whoever comes next."""
        replica = self._known[name]
        if not replica.alive:
            return
        record = record or {}
        code = record.get("code")
        if code is None and replica.watched is not None:
            code = replica.watched.exit_code
        facts = replica.facts
        facts.ended_at = float(record.get("ended_at") or time.time())
        facts.exit_code, facts.interrupted = code, interrupted
        struck = self._groups.release(name) if facts.memory_bytes or facts.cpu_millis else None
        if facts.out_of_memory:
            # It was ended for it here; its reason says so already.
            facts.exit_code = -signal.SIGKILL
        elif struck is Strike.ITS_OWN:
            facts.out_of_memory, facts.reason = True, over_group(facts.memory_bytes)
        elif code == -signal.SIGKILL and not facts.killed and (struck is not None or self._memory.struck()):
            facts.out_of_memory, facts.reason = True, KILLED_BY_KERNEL
        else:
            facts.reason = record.get("reason")
        if facts.out_of_memory:
            # The process had no time to say it.
            self.add_to_output(name, f"killed: {facts.reason}")
        self._limited.discard(name)
        if facts.temporary is not None:
            shutil.rmtree(facts.temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._write_facts(replica)
        self._templates.keep_only(self._in_use)
        self._changed()

    def _in_use(self) -> tuple[set[str], set[str | None]]:
        """Packages, by digest, and interpreters that have a living replica."""
        living = [one for one in self._known.values() if one.alive]
        return {one.order.package_digest for one in living}, {one.facts.python for one in living}

    # -- what an earlier controller left -----------------------------------------------------------------------------

    def _adopt(self, folder: Path) -> None:
        facts, order = read_json(str(folder / ENGINE)), read_json(str(folder / ORDER))
        identity = read_identity(str(folder))
        try:
            replica = _Replica(
                orders.ReplicaOrder(**_known_fields(order or {}, orders.ReplicaOrder._fields)),
                _Facts(**_known_fields(facts or {}, _Facts.__dataclass_fields__)),
            )
        except TypeError:
            # The intent was never complete, so no process was started for it; or it is no record that can be read.
            if identity is not None:
                kill(identity)
            shutil.rmtree(folder, ignore_errors=True)
            return
        replica.appear_until = time.monotonic() + APPEAR_SECONDS
        self._appearing.add(folder.name)
        self._know(folder.name, replica)
        self._look_for_process(folder.name, replica)

    def _look_for_process(self, name: str, replica: _Replica) -> None:
        """Finds the process of a replica that somebody else was starting, and notices that it never came."""
        if replica.watched is not None or replica.appear_until is None:
            self._appearing.discard(name)
            return
        identity = read_identity(str(self._folder / name))
        if not replica.alive:
            if replica.facts.interrupted and identity is not None:
                # It came after all, too late: its place is taken.
                kill(identity)
            if identity is not None or not replica.facts.interrupted:
                self._appearing.discard(name)
        elif identity is None:
            if time.monotonic() > replica.appear_until:
                self._end(name, None, interrupted=True)
        elif identity.boot != boot_id():
            self._end(name, read_json(str(self._folder / name / EXIT)), interrupted=True)
        else:
            self._watch(name, replica, identity, None)


def over_limit(held_bytes: int, limit_bytes: int) -> str:
    return (
        f"it held {held_bytes / 2**20:.0f} MiB of memory, and its limit, compute.mem, is {limit_bytes / 2**20:.0f} MiB"
    )


def over_group(limit_bytes: int) -> str:
    return f"it wanted more memory than its limit, compute.mem, of {limit_bytes / 2**20:.0f} MiB"


def _known_fields(document: dict[str, Any], known: Any) -> dict[str, Any]:
    """What another version wrote in addition is left aside."""
    return {name: document[name] for name in known if name in document}


def _sight(one: _Replica) -> ReplicaSight:
    facts = one.facts
    return ReplicaSight(
        id=one.order.id,
        endpoint=one.order.endpoint,
        version=one.order.version,
        package=one.order.package_digest,
        alive=one.alive,
        pid=one.watched.identity.pid if one.watched is not None else None,
        started_at=facts.started_at,
        forked=facts.forked,
        why_fresh=facts.why_fresh,
        stopping=facts.stop_began_at is not None,
        stop_began_at=facts.stop_began_at,
        ended_at=facts.ended_at,
        exit_code=facts.exit_code,
        reason=facts.reason,
        interrupted=facts.interrupted,
        out_of_memory=facts.out_of_memory,
        socket=one.order.socket,
        token=one.order.token,
        notes=dict(facts.notes),
    )


def _numeric_threads(spec: EndpointSpec) -> int:
    """One per whole core that the replica reserves, at least one."""
    return max(1, (spec.cpu_millis or 0) // 1000)
