"""The pass over batch transforms: starts what waits, starts again what was interrupted, says how they ended."""

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard_worker.packages import read_package
from modelyard_worker.records import read_json
from modelyard_worker.transform.plan import RESULT, TransformPlan, write_plan

from modelyard.clock import Clock, iso
from modelyard.controller.environments import EnvironmentsPass
from modelyard.controller.events import tell
from modelyard.controller.jobs import (
    Background,
    JobsSeen,
    Turns,
    changed_reasons,
    first_on_path,
    is_alive,
    reason_of,
)
from modelyard.controller.secrets import mask, reveal
from modelyard.domain.queueing import QueuedJob
from modelyard.domain.runs import JobFact
from modelyard.domain.transforms import Transform, TransformAction, TransformStatus, decide_transform, scorer_of
from modelyard.engines.ports import Engine, JobOrder
from modelyard.errors import Conflict
from modelyard.settings import Home
from modelyard.store.ports import Artifacts, Store

STOP_GRACE_SECONDS = 30.0
RUNTIME_SECONDS_MAX = 28 * 86400.0

_log = logging.getLogger("modelyard.controller")


class TransformsPass:
    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        engine: Engine,
        environments: EnvironmentsPass,
        home: Home,
        clock: Clock,
        wake: Callable[[], None],
        turns: Turns,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._engine = engine
        self._environments = environments
        self._home = home
        self._clock = clock
        self._turns = turns
        self._under_way = Background("transform", wake, self._fail)
        self._leaving = False
        turns.add(self._seen)

    def __call__(self) -> None:
        """One pass. What takes time goes on in the background and wakes the loop when it is done."""
        unfinished = self._store.transforms.unfinished()
        facts = {one.id: self._fact(one) for one in unfinished}
        actions = {one.id: decide_transform(one, facts[one.id]) for one in unfinished if one.id not in self._under_way}
        starts = self._starts([one for one in unfinished if actions.get(one.id) is TransformAction.START])
        for one in unfinished:
            action = actions.get(one.id, TransformAction.WAIT)
            if action is TransformAction.START and one.queued.id not in starts:
                continue
            try:
                self._do(action, one, facts[one.id])
            except Conflict as error:
                # It was stopped, or ended, since it was looked at: the next pass begins from what is then there.
                _log.info("transform %s: %s", one.id, error)

    def _starts(self, waiting: list[Transform]) -> tuple[str, ...]:
        """Places in the queue of those to start now; why the others wait is written down."""
        if self._leaving or not waiting:
            return ()
        starts = self._turns.decide()
        changed = changed_reasons(((one.id, one.queued.id, one.waiting) for one in waiting), starts)
        if changed:
            self._store.transforms.put_waiting(changed)
        return starts.start

    def _seen(self) -> JobsSeen:
        """All transforms, as the queue sees them."""
        waiting: list[QueuedJob] = []
        running: list[QueuedJob] = []
        for one in self._store.transforms.unfinished():
            fact = self._fact(one)
            if is_alive(fact) or one.id in self._under_way:
                running.append(one.queued)
            elif not self._leaving and decide_transform(one, fact) is TransformAction.START:
                waiting.append(one.queued)
        return JobsSeen(tuple(waiting), tuple(running))

    def leave(self) -> None:
        """From now on nothing is started."""
        self._leaving = True

    async def settle(self) -> None:
        """Waits for what is under way. Nothing of it is lost where that is cut off."""
        await self._under_way.settle()

    def _fact(self, transform: Transform) -> JobFact | None:
        return self._engine.job(transform.job) if transform.attempt else None

    def _do(self, action: TransformAction, transform: Transform, fact: JobFact | None) -> None:
        match action:
            case TransformAction.START:
                self._under_way.begin(transform.id, transform, self._start(transform))
            case TransformAction.STOP:
                # Asked at every pass: the process may have been on its way when it was asked first.
                self._engine.stop_job(transform.job)
            case TransformAction.COMPLETE:
                self._end(transform, TransformStatus.COMPLETED, None)
            case TransformAction.FAIL:
                self._end(transform, TransformStatus.FAILED, self._reason(transform, fact))
            case TransformAction.GIVE_UP:
                reason = f"its process was lost {transform.attempt} times; the last words are in its log"
                self._end(transform, TransformStatus.FAILED, reason)
            case TransformAction.END_STOPPED:
                self._end(transform, TransformStatus.STOPPED, None)
            case TransformAction.WAIT:
                pass

    # -- starting ----------------------------------------------------------------------------------------------------

    async def _start(self, transform: Transform) -> None:
        """Raises Conflict where a stop was asked for already; the next pass sees to it."""
        package = await asyncio.to_thread(self._lay_out, transform)
        python = await self._environments.python_for_package(
            transform.id, read_package(str(package)), lambda: self._unwanted(transform)
        )
        if self._unwanted(transform):
            return
        # Counted before it is started: a process that nobody counted would be started twice.
        started = self._store.transforms.start(transform.id, self._clock.now())
        await self._engine.start_job(self._order(started, python))
        again = f", for the {started.attempt}. time" if started.attempt > 1 else ""
        self._event(started, f"scoring{again}")

    def _unwanted(self, transform: Transform) -> bool:
        return self._leaving or self._store.transforms.get(transform.id).stop_requested

    def _lay_out(self, transform: Transform) -> Path:
        """The package on disk and the plan in the transform's folder; the package's folder."""
        package = self._home.packages / transform.spec.package
        if not package.exists():
            self._artifacts.lay_out(transform.spec.package, package, share=True)
        folder = self._folder(transform)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        model, version = scorer_of(transform.spec.model or "")
        plan = TransformPlan(
            name=transform.id,
            package=str(package),
            input=transform.spec.input,
            output=transform.spec.output,
            endpoint=model or transform.spec.name,
            version=int(version) if version.isdigit() else 1,
            job=_job_spec(transform),
        )
        write_plan(str(folder), plan._replace(**transform.spec.options))
        return package

    def _folder(self, transform: Transform) -> Path:
        return self._home.transforms / transform.id

    def _order(self, transform: Transform, python: str | None) -> JobOrder:
        environment = {**first_on_path(python), **_container_variables(transform), **transform.spec.environment}
        return JobOrder(
            id=transform.job,
            base=str(self._folder(transform)),
            command=(python or sys.executable, "-m", "modelyard_worker.transform", str(self._folder(transform))),
            environment=environment,
            max_runtime_seconds=transform.spec.max_runtime_seconds or RUNTIME_SECONDS_MAX,
            stop_grace_seconds=STOP_GRACE_SECONDS,
            cpu_millis=transform.spec.cpu_millis,
            memory_bytes=transform.spec.memory_bytes,
            secrets=reveal(self._store, transform.spec.secrets),
        )

    # -- endings -----------------------------------------------------------------------------------------------------

    def _reason(self, transform: Transform, fact: JobFact | None) -> str:
        if fact is not None and fact.ended_by == "max_runtime":
            limit = transform.spec.max_runtime_seconds or RUNTIME_SECONDS_MAX
            return f"it ran longer than its maximum of {limit:g} s"
        return reason_of(fact)

    def _fail(self, transform: Transform, message: str) -> None:
        self._end(transform, TransformStatus.FAILED, message)

    def _end(self, transform: Transform, status: TransformStatus, reason: str | None) -> None:
        reason = None if reason is None else mask(self._store, reason)
        result = read_json(str(self._folder(transform) / RESULT)) or {}
        if status is not TransformStatus.COMPLETED:
            # What is not whole is no output; what was finished stays under its own name.
            for parts in (Path(transform.spec.output) / f".{transform.id}.parts", self._folder(transform) / "parts"):
                shutil.rmtree(parts, ignore_errors=True)
        self._store.transforms.end(transform.id, status, self._clock.now(), reason, result)
        self._event(transform, f"{status.value}{f': {reason}' if reason else ''}")

    def _event(self, transform: Transform, sentence: str) -> None:
        tell(self._store.events, "transform", transform.id, sentence, self._clock.now())


def _job_spec(transform: Transform) -> dict[str, Any]:
    """What Cortex tells a predictor of its job."""
    spec = transform.spec
    return {
        "job_id": transform.id,
        "api_name": spec.batch or spec.name,
        "kind": "BatchAPI",
        "workers": spec.options.get("processes") or None,
        "config": {},
        "start_time": iso(transform.created_at),
        **spec.submitted,
    }


def _container_variables(transform: Transform) -> dict[str, str]:
    """What SageMaker tells a container of a transform; the last three only where they were given."""
    given = transform.spec.options
    variables: dict[str, Any] = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": given.get("max_payload_mb")}
    strategy = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}.get(str(given.get("strategy")))
    variables |= {
        "SAGEMAKER_BATCH_STRATEGY": strategy,
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": given.get("processes") or None,
    }
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in variables.items() if value
    }
