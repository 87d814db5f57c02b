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
        """Harmless where that job is known already. Raises StartFailed."""
        if self.fact(order.id) is not None:
            return
        folder = self._folder / order.id
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
            child = start_worker("job", folder, worker_environment(_cores(), order.secrets))
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
        identity = self._watched[job].identity if job in self._watched else read_identity(str(folder))
        alive = identity is not None and is_alive(identity)
        # Looked for after the process: one that ends in between has written its record before.
        record = read_json(str(folder / EXIT))
        if record is not None:
            return _ended(record)
        if identity is None:
            return JobFact(alive=True) if time.time() - intent < APPEAR_SECONDS else None
        if alive and job not in self._watched:
            self._watch(job, identity, None)
        return JobFact(alive=alive)

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

    def _watch(self, name: str, identity: Identity, child: Any) -> None:
        self._watched[name] = Watched(identity, lambda: self._end(name), child)

    def _end(self, name: str) -> None:
        self._watched.pop(name, None)
        self._changed()


def _ended(record: dict[str, Any]) -> JobFact:
    return JobFact(
        alive=False,
        exit_code=record.get("code"),
        ended_by=record.get("by"),
        failure=record.get("failure"),
        ended_at=record.get("ended_at"),
        metrics=record.get("metrics") or {},
    )


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
