"""Jobs: each in a wrapper that needs nobody, in a folder that tells everything about it.

Of a job nothing is held but the watch that says when its wrapper has ended: what it is stands in its folder.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard_worker import orders
from modelyard_worker.records import (
    EXIT,
    ORDER,
    PROCESS,
    Identity,
    is_alive,
    read_identity,
    read_json,
    write_exit,
    write_json,
)

from modelyard.domain.runs import JobFact
from modelyard.engines.local.processes import Watched, identity_of_child, kill, start_worker, worker_environment
from modelyard.engines.ports import JobOrder
from modelyard.errors import StartFailed

APPEAR_SECONDS = 15.0
"""How long after its intent a wrapper may take to write its identity; then none was ever started."""


class Jobs:
    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._watched: dict[str, Watched] = {}
        self._expected: set[str] = set()

    def start(self, order: JobOrder) -> None:
        """Harmless where that attempt of the job is known already. Raises StartFailed."""
        known = self.fact(order.id)
        if known is not None and (known.alive or known.attempt >= order.attempt):
            return
        folder = self._folder / order.id
        worker_order = orders.JobOrder(
            id=order.id,
            base=order.base,
            command=list(order.command),
            environment=order.environment,
            max_runtime_seconds=order.max_runtime_seconds,
            stop_grace_seconds=order.stop_grace_seconds,
            attempt=order.attempt,
            memory_bytes=order.memory_bytes,
            metrics=order.log_metrics or None,
        )
        try:
            _clear(folder)
            write_json(str(folder / ORDER), worker_order._asdict())
            child = start_worker("job", folder, _environment(order))
        except (OSError, StartFailed) as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, StartFailed):
                raise
            raise StartFailed(f"cannot start job {order.id}: {error}", "free disk space under the home") from error
        self._watch(order.id, identity_of_child(child), child)

    def fact(self, job: str) -> JobFact | None:
        """None where it never came to a process."""
        folder = self._folder / job
        intent = _mtime(folder / ORDER)
        if intent is None:
            return None
        attempt = int((read_json(str(folder / ORDER)) or {}).get("attempt", 1))
        identity = self._watched[job].identity if job in self._watched else read_identity(str(folder))
        alive = identity is not None and is_alive(identity)
        # Looked for after the process: one that ends in between has written its record before.
        record = read_json(str(folder / EXIT))
        if record is not None:
            return _ended(record, attempt)
        if identity is None:
            return JobFact(alive=True, attempt=attempt) if time.time() - intent < APPEAR_SECONDS else None
        if alive and job not in self._watched:
            self._watch(job, identity, None)
        return JobFact(alive=alive, attempt=attempt)

    def stop(self, job: str) -> None:
        """Its wrapper gives the command its grace. Harmless where it is gone. Without effect on a wrapper that has not
        said yet who it is: it hears signals from then on, and would be killed by this one."""
        fact = self.fact(job)
        if fact is not None and fact.alive and read_identity(str(self._folder / job)) is not None:
            self._watched[job].send(signal.SIGTERM)

    def find_all(self) -> None:
        """Looks through every folder once, so that `living` knows of all that an earlier engine started."""
        for folder in self._folder.iterdir():
            name, identity = folder.name, read_identity(str(folder))
            if name in self._watched:
                continue
            if identity is not None and is_alive(identity):
                self._watch(name, identity, None)
            elif (fact := self.fact(name)) is not None and fact.alive:
                self._expected.add(name)

    def living(self) -> list[str]:
        """Every job found whose wrapper lives, if only to finish its last words, or may yet appear."""
        for name in list(self._expected):
            fact = self.fact(name)
            if name in self._watched or fact is None or not fact.alive:
                self._expected.discard(name)
        return [*(name for name, one in self._watched.items() if is_alive(one.identity)), *self._expected]

    def kill_all(self) -> None:
        """Ends what lives at once, and says in its place that it was stopped: it cannot do so any more."""
        for name in self.living():
            folder = self._folder / name
            identity = read_identity(str(folder))
            if identity is not None:
                kill(identity)
            elif name in self._watched:
                self._watched[name].send(signal.SIGKILL)
            with contextlib.suppress(OSError):
                write_exit(str(folder), -signal.SIGKILL, "stop")

    def close(self) -> None:
        for watched in self._watched.values():
            watched.close()

    def reserved_memory_bytes(self) -> int:
        """What the living ones that were seen since this engine began reserve."""
        orders_read = (read_json(str(self._folder / name / ORDER)) or {} for name in self.living())
        return sum(int(one.get("memory_bytes") or 0) for one in orders_read)

    def _watch(self, name: str, identity: Identity, child: Any) -> None:
        self._watched[name] = Watched(identity, lambda: self._end(name, identity), child)

    def _end(self, name: str, identity: Identity) -> None:
        # Of an earlier attempt the end may be heard of when the next one is there already.
        if name in self._watched and self._watched[name].identity == identity:
            del self._watched[name]
        self._changed()


def _clear(folder: Path) -> None:
    """Room for another attempt. What earlier ones printed stays; their order goes last, as it tells of the rest."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in (EXIT, PROCESS, ORDER):
        (folder / name).unlink(missing_ok=True)


def _environment(order: JobOrder) -> dict[str, str]:
    # Threads that spin while they wait for each other take the cores from the jobs beside them: XGBoost with two
    # threads on two busy cores took 20 times as long.
    patient = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive")}
    return worker_environment(_threads(order.cpu_millis), {**patient, **order.secrets})


def _threads(cpu_millis: int | None) -> int:
    return _cores() if cpu_millis is None else max(1, cpu_millis // 1000)


def _ended(record: dict[str, Any], attempt: int) -> JobFact:
    return JobFact(
        alive=False,
        exit_code=record.get("code"),
        ended_by=record.get("by"),
        failure=record.get("failure"),
        ended_at=record.get("ended_at"),
        metrics=record.get("metrics") or {},
        attempt=attempt,
    )


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
