"""The engine of one machine: replicas forked from templates or started fresh, and jobs in their wrapper.

What it knows of a replica stands in the replica's folder, so a controller that comes after a dead one finds everything:
`engine.json` (what this engine decided), then `order.json` (the intent), then the process's own `process.json`.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard_worker import orders
from modelyard_worker.packages import read_package
from modelyard_worker.records import EXIT, ORDER, OUTPUT, Identity, is_alive, read_identity, read_json, write_json

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.runs import JobFact
from modelyard.engines.local.probe import probe
from modelyard.engines.local.processes import Watched, identity_of, start_worker, worker_environment
from modelyard.engines.local.templates import CannotFork, Templates
from modelyard.engines.ports import JobOrder, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import StartFailed
from modelyard.settings import Home

ENGINE = "engine.json"

APPEAR_SECONDS = 15.0
"""How long after its intent a process may take to write its identity; then it never came."""

EXIT_RECORD_SECONDS = 1.0
"""How long after its end a process's exit record is waited for: its template may write it."""

TAIL_BYTES = 64 * 1024

_log = logging.getLogger("modelyard.controller")


@dataclass(slots=True)
class _Replica:
    """What is known of a replica. `identity` is None until its process is there."""

    order: orders.ReplicaOrder
    cpu_millis: int
    memory_bytes: int
    started_at: float
    forked: bool = True
    why_fresh: str | None = None
    python: str | None = None
    stop_began_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    watched: Watched | None = None
    notes: dict[str, str | float] = field(default_factory=dict[str, str | float])
    appear_until: float = field(default_factory=lambda: time.monotonic() + APPEAR_SECONDS)

    @property
    def alive(self) -> bool:
        return self.ended_at is None


class LocalEngine:
    def __init__(self, home: Home) -> None:
        self.changed = asyncio.Event()
        self._replicas_folder = home.engine / "replicas"
        self._jobs_folder = home.engine / "jobs"
        self._sockets = home.replica_sockets
        self._templates = Templates(home.engine / "templates", home.sockets)
        self._replicas: dict[str, _Replica] = {}
        self._jobs: dict[str, Watched] = {}
        self._cpu_millis = len(os.sched_getaffinity(0)) * 1000
        self._memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._adopt_replicas()

    # -- room --------------------------------------------------------------------------------------------------------

    def room(self, spec: EndpointSpec) -> int:
        living = [one for one in self._replicas.values() if one.alive]
        fits = 2**31
        if spec.cpu_millis:
            fits = (self._cpu_millis - sum(one.cpu_millis for one in living)) // spec.cpu_millis
        if spec.memory_bytes:
            free = self._memory_bytes - sum(one.memory_bytes for one in living)
            fits = min(fits, free // spec.memory_bytes)
        return max(0, fits)

    # -- replicas ----------------------------------------------------------------------------------------------------

    async def start_replica(self, order: ReplicaOrder) -> None:
        replica = self._write_intent(order)
        folder = self._replicas_folder / order.id
        try:
            pid, child = await self._start_process(order, replica, folder)
        except StartFailed as error:
            self._append_output(order.id, f"{error.message}\n")
            self._end_replica(order.id)
            raise
        identity = identity_of(pid)
        if identity is None:
            self._end_replica(order.id)
            return
        self._watch(order.id, replica, identity, child)

    async def _start_process(self, order: ReplicaOrder, replica: _Replica, folder: Path) -> tuple[int, Any]:
        threads = _numeric_threads(order.spec)
        if not order.fresh:
            try:
                package = read_package(order.package_folder)
                environment = order.environment
                pid = await self._templates.fork(
                    package, order.spec.package, folder, threads, environment, order.python
                )
            except (CannotFork, StartFailed) as error:
                replica.why_fresh = str(error)
                _log.warning("replica %s: fresh process instead of a fork: %s", order.id, error)
            except ValueError as error:
                raise StartFailed(str(error)) from error
            else:
                return pid, None
        replica.forked = False
        self._write_facts(replica)
        environment = worker_environment(threads, order.environment, order.python)
        child = start_worker("replica", folder, environment, order.python)
        return child.pid, child

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:
        found = self._replicas[replica]
        order = found.order
        return await probe(
            order.socket, order.token, order.id, order.package_digest, limit_seconds, lambda: found.alive
        )

    def replicas(self) -> list[ReplicaSight]:
        for name, one in self._replicas.items():
            self._look_again(name, one)
        return [_sight(one) for one in self._replicas.values()]

    def note_replica(self, replica: str, **notes: str | float) -> None:
        found = self._replicas.get(replica)
        if found is not None:
            found.notes.update(notes)
            self._write_facts(found)

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        found = self._replicas.get(replica)
        if found is None or not found.alive:
            return
        if found.stop_began_at is None and not kill:
            found.stop_began_at = time.time()
            self._write_facts(found)
        if found.watched is not None:
            found.watched.send(signal.SIGKILL if kill else signal.SIGTERM)

    def output_tail(self, replica: str, lines: int = 20) -> str:
        return _tail(self._replicas_folder / replica / OUTPUT, lines)

    def forget_replica(self, replica: str) -> None:
        found = self._replicas.get(replica)
        if found is not None and not found.alive:
            del self._replicas[replica]
            with contextlib.suppress(OSError):
                Path(found.order.socket).unlink()
            shutil.rmtree(self._replicas_folder / replica, ignore_errors=True)
        living = [one for one in self._replicas.values() if one.alive]
        self._templates.end_unused({one.order.package_digest for one in living}, {one.python for one in living})

    def _write_intent(self, order: ReplicaOrder) -> _Replica:
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
            drain_seconds=spec.drain_seconds,
        )
        replica = _Replica(worker_order, spec.cpu_millis or 0, spec.memory_bytes or 0, time.time(), not order.fresh)
        replica.python = order.python
        folder = self._replicas_folder / order.id
        try:
            folder.mkdir(mode=0o700)
            self._write_facts(replica)
            write_json(str(folder / ORDER), worker_order._asdict())
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StartFailed(f"cannot start replica {order.id}: {error}", "free disk space under the home") from error
        self._replicas[order.id] = replica
        return replica

    def _write_facts(self, replica: _Replica) -> None:
        facts = {
            "cpu_millis": replica.cpu_millis,
            "memory_bytes": replica.memory_bytes,
            "started_at": replica.started_at,
            "forked": replica.forked,
            "why_fresh": replica.why_fresh,
            "python": replica.python,
            "stop_began_at": replica.stop_began_at,
            "notes": replica.notes,
        }
        write_json(str(self._replicas_folder / replica.order.id / ENGINE), facts)

    def _adopt_replicas(self) -> None:
        """Finds what an earlier controller left: living replicas are watched again, ended ones are facts still."""
        for folder in sorted(self._replicas_folder.iterdir()):
            facts, order = read_json(str(folder / ENGINE)), read_json(str(folder / ORDER))
            if facts is None or order is None:
                # The intent was never complete, so no process was started for it.
                shutil.rmtree(folder, ignore_errors=True)
                continue
            replica = _Replica(orders.ReplicaOrder(**order), **facts)
            self._replicas[folder.name] = replica
            self._look_again(folder.name, replica)

    def _look_again(self, name: str, replica: _Replica) -> None:
        """Finds the process of a replica that has none yet, and the exit record of one that ended just now."""
        folder = self._replicas_folder / name
        if replica.alive and replica.watched is None:
            identity = read_identity(str(folder))
            if identity is not None and is_alive(identity):
                self._watch(name, replica, identity, None)
            elif identity is not None or time.monotonic() > replica.appear_until:
                self._end_replica(name)
        if replica.ended_at is not None and replica.exit_code is None:
            record = read_json(str(folder / EXIT))
            if record is not None:
                replica.exit_code = record.get("code")

    def _watch(self, name: str, replica: _Replica, identity: Identity, child: Any) -> None:
        replica.watched = Watched(identity, lambda: self._end_replica(name), child)
        if replica.stop_began_at is not None:
            replica.watched.send(signal.SIGTERM)

    def _end_replica(self, name: str) -> None:
        replica = self._replicas.get(name)
        if replica is not None and replica.ended_at is None:
            record = read_json(str(self._replicas_folder / name / EXIT)) or {}
            replica.ended_at = float(record.get("ended_at") or time.time())
            replica.exit_code = record.get("code")
            self.changed.set()

    def _append_output(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError), (self._replicas_folder / name / OUTPUT).open("a") as file:
            file.write(text)

    # -- jobs --------------------------------------------------------------------------------------------------------

    async def start_job(self, order: JobOrder) -> None:
        folder = self._jobs_folder / order.id
        if (folder / ORDER).exists():
            return
        worker_order = orders.JobOrder(
            id=order.id,
            base=order.base,
            command=list(order.command),
            environment=order.environment,
            max_runtime_seconds=order.max_runtime_seconds,
            stop_grace_seconds=order.stop_grace_seconds,
        )
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            write_json(str(folder / ORDER), worker_order._asdict())
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StartFailed(f"cannot start job {order.id}: {error}", "free disk space under the home") from error
        child = start_worker("job", folder, worker_environment(_all_cores(), order.secrets))
        identity = identity_of(child.pid)
        if identity is not None:
            self._watch_job(order.id, identity, child)

    def job(self, job: str) -> JobFact | None:
        folder = self._jobs_folder / job
        if not (folder / ORDER).exists():
            return None
        record = read_json(str(folder / EXIT))
        if record is not None:
            return JobFact(
                alive=False,
                exit_code=record.get("code"),
                ended_by=record.get("by"),
                failure=record.get("failure"),
                ended_at=record.get("ended_at"),
                metrics=record.get("metrics") or {},
            )
        if job in self._jobs:
            return JobFact(alive=is_alive(self._jobs[job].identity))
        identity = read_identity(str(folder))
        if identity is None:
            began = (folder / ORDER).stat().st_mtime
            return JobFact(alive=time.time() - began < APPEAR_SECONDS)
        if is_alive(identity):
            self._watch_job(job, identity, None)
            return JobFact(alive=True)
        return JobFact(alive=False)

    def stop_job(self, job: str, *, kill: bool = False) -> None:
        if self.job(job) is not None and job in self._jobs:
            self._jobs[job].send(signal.SIGKILL if kill else signal.SIGTERM)

    def _watch_job(self, name: str, identity: Identity, child: Any) -> None:
        self._jobs[name] = Watched(identity, self.changed.set, child)

    # -- all ---------------------------------------------------------------------------------------------------------

    async def warm(self, libraries: tuple[str, ...]) -> None:
        try:
            await self._templates.warm(libraries)
        except StartFailed as error:
            _log.warning("cannot warm a template: %s", error)

    async def stop_everything(self, limit_seconds: float) -> None:
        for job in [one.name for one in self._jobs_folder.iterdir()]:
            self.stop_job(job)
        for replica in list(self._replicas):
            self.stop_replica(replica)
        await self._wait(limit_seconds, self._anything_lives)
        for job in list(self._jobs):
            self.stop_job(job, kill=True)
        for replica in list(self._replicas):
            self.stop_replica(replica, kill=True)
        watched = self._templates.end_all()
        await self._wait(
            limit_seconds, lambda: self._anything_lives() or any(is_alive(one.identity) for one in watched)
        )

    def _anything_lives(self) -> bool:
        return any(one.alive for one in self._replicas.values()) or any(
            is_alive(one.identity) for one in self._jobs.values()
        )

    async def _wait(self, limit_seconds: float, while_: Callable[[], bool]) -> None:
        limit = time.monotonic() + limit_seconds
        while while_() and time.monotonic() < limit:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for one in self._replicas.values():
            if one.watched is not None:
                one.watched.close()
        for job in self._jobs.values():
            job.close()
        self._templates.close()


def _sight(one: _Replica) -> ReplicaSight:
    return ReplicaSight(
        id=one.order.id,
        endpoint=one.order.endpoint,
        version=one.order.version,
        package=one.order.package_digest,
        alive=one.alive,
        pid=one.watched.identity.pid if one.watched is not None else None,
        started_at=one.started_at,
        forked=one.forked,
        why_fresh=one.why_fresh,
        stopping=one.stop_began_at is not None,
        stop_began_at=one.stop_began_at,
        ended_at=one.ended_at,
        exit_code=one.exit_code,
        socket=one.order.socket,
        token=one.order.token,
        notes=dict(one.notes),
    )


def _numeric_threads(spec: EndpointSpec) -> int:
    """One per whole core that the replica asks for, at least one."""
    return max(1, (spec.cpu_millis or 0) // 1000)


def _all_cores() -> int:
    return len(os.sched_getaffinity(0))


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
