"""The pass over training runs: starts what waits, follows what runs, stores and registers what came out."""

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from modelyard_worker.job_environment import CHECKPOINTS, JobPlan, lay_out_job, metrics_file

from modelyard.clock import Clock
from modelyard.controller.environments import EnvironmentsPass
from modelyard.controller.events import tell
from modelyard.controller.job_tokens import give_job_token
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
from modelyard.controller.tracking import JobTracking
from modelyard.domain.models import Lineage
from modelyard.domain.queueing import QueuedJob
from modelyard.domain.runs import JobFact, Run, RunAction, RunStatus, RunStep, decide_run
from modelyard.engines.ports import Engine, JobOrder
from modelyard.errors import Conflict, ModelyardError, StoreFailed
from modelyard.packaging.frameworks import ALGORITHM_REQUIREMENTS, HEAD_BYTES, detect
from modelyard.packaging.requirements import REQUIREMENTS
from modelyard.store.ports import Artifacts, Store
from modelyard.version import VERSION

LOST = "its process is gone and left no exit record: it was killed, or the machine went down"
WENT_DOWN = "the yard went down while it ran"

_log = logging.getLogger("modelyard.controller")


class RunsPass:
    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        engine: Engine,
        environments: EnvironmentsPass,
        folder: Path,
        clock: Clock,
        wake: Callable[[], None],
        turns: Turns,
        tracking: Callable[[Run], JobTracking] | None = None,
    ) -> None:
        """`tracking` says what a job is told of the tracking server."""
        self._store = store
        self._artifacts = artifacts
        self._engine = engine
        self._environments = environments
        self._folder = folder
        self._clock = clock
        self._turns = turns
        self._tracking = tracking
        self._wake = wake
        self._under_way = Background("run", wake, self._fail)
        self._leaving = False
        turns.add(self._seen)

    def __call__(self) -> None:
        """One pass. What takes time goes on in the background and wakes the loop when it is done."""
        unfinished = self._store.runs.unfinished()
        facts = {run.id: self._engine.job(run.id) for run in unfinished}
        actions = {run.id: decide_run(run, facts[run.id]) for run in unfinished if run.id not in self._under_way}
        starts = self._starts(unfinished, actions)
        for run in unfinished:
            action = actions.get(run.id, RunAction.WAIT)
            if run.id not in actions or (action is RunAction.START and run.id not in starts):
                continue
            try:
                self._do(action, run, facts[run.id])
            except Conflict as error:
                # It was stopped, or ended, since it was looked at: the next pass begins from what is then there.
                _log.info("run %s: %s", run.id, error)

    def _starts(self, unfinished: list[Run], actions: Mapping[str, RunAction]) -> tuple[str, ...]:
        """The runs to start now; why the others wait is written down."""
        waiting = [run for run in unfinished if self._waits(run, actions.get(run.id, RunAction.WAIT))]
        if not waiting:
            return ()
        starts = self._turns.decide()
        changed = changed_reasons(((run.id, run.id, run.waiting) for run in waiting), starts)
        if changed:
            self._store.runs.put_waiting(changed)
        return starts.start

    def _seen(self) -> JobsSeen:
        """All runs, as the queue sees them."""
        waiting: list[QueuedJob] = []
        running: list[QueuedJob] = []
        for run in self._store.runs.unfinished():
            fact = self._engine.job(run.id)
            if self._runs_or_starts(run, fact):
                running.append(run.queued)
            elif run.id not in self._under_way and self._waits(run, decide_run(run, fact)):
                waiting.append(run.queued)
        return JobsSeen(tuple(waiting), tuple(running))

    def _waits(self, run: Run, action: RunAction) -> bool:
        """Whether it is to be started as soon as there is room."""
        return action is RunAction.START and not self._leaving and run.due_at <= self._clock.now()

    def _runs_or_starts(self, run: Run, fact: JobFact | None) -> bool:
        """Whether it takes its part of the machine: uploading takes none."""
        return is_alive(fact) or (run.id in self._under_way and run.step is not RunStep.UPLOADING)

    def leave(self) -> None:
        """From now on nothing is started; what runs is followed to its end."""
        self._leaving = True

    async def settle(self) -> None:
        """Waits for what is under way. Nothing of it is lost where that is cut off."""
        await self._under_way.settle()

    def _do(self, action: RunAction, run: Run, fact: JobFact | None) -> None:
        match action:
            case RunAction.START:
                self._under_way.begin(run.id, run, self._start(run))
            case RunAction.UPLOAD:
                self._under_way.begin(run.id, run, self._upload(run, fact or JobFact(alive=False)))
            case RunAction.STOP:
                # Asked at every pass: the process may have been on its way when it was asked first.
                self._engine.stop_job(run.id)
            case RunAction.FAIL:
                self._end(run, RunStatus.FAILED, RunStep.FAILED, fact, reason_of(fact))
            case RunAction.END_STOPPED:
                self._end_stopped(run, fact)
            case RunAction.LOSE:
                self._end(run, RunStatus.LOST, RunStep.LOST, fact, LOST)
            case RunAction.RETRY:
                self._retry(run, fact)
            case RunAction.WAIT:
                if is_alive(fact) and run.step in (RunStep.PENDING, RunStep.DOWNLOADING):
                    # The controller that started it was killed before it could write so.
                    self._store.runs.move(run.id, run.status, RunStep.TRAINING, self._clock.now())

    # -- what takes time ---------------------------------------------------------------------------------------------

    async def _start(self, run: Run) -> None:
        """Raises Conflict where a stop was asked for already; the next pass sees to it."""
        self._store.runs.move(run.id, RunStatus.IN_PROGRESS, RunStep.DOWNLOADING, self._clock.now())
        self._store.tracking.open(run.id)
        token = give_job_token(self._store.keys, run, self._clock.now())
        self._wake()
        base = await asyncio.to_thread(self._lay_out, run)
        python = await self._python(run, base)
        if self._unwanted(run):
            return
        tracking = await asyncio.to_thread(self._tracking, run) if self._tracking else JobTracking({}, {})
        secrets = {**token, **tracking.secrets, **reveal(self._store, run.spec.secrets)}
        await self._engine.start_job(_order(run, base, python, secrets, tracking.environment))
        self._event(run, "training")
        try:
            self._store.runs.move(run.id, RunStatus.IN_PROGRESS, RunStep.TRAINING, self._clock.now())
        except ModelyardError as error:
            # It runs, and the next pass sees so: what cannot be written down now must not make it a failure.
            _log.warning("run %s: %s", run.id, error)

    async def _python(self, run: Run, base: Path) -> str | None:
        """The interpreter of the environment that the run's code asks for; None is the yard's own."""
        if run.spec.entry is None and not (base / "code" / REQUIREMENTS).exists():
            return None
        return await self._environments.python_for_run(run.id, base, run.spec.entry, lambda: self._unwanted(run))

    def _unwanted(self, run: Run) -> bool:
        return self._leaving or self._store.runs.get(run.id).stop_requested

    def _lay_out(self, run: Run) -> Path:
        """Inputs and code as files below the run's folder, which is returned; what a dead controller began goes."""
        base = self._folder / run.id / "ml"
        _clear(base)
        data = base / "input" / "data"
        data.mkdir(parents=True)
        for channel, tree in run.spec.inputs.items():
            self._artifacts.lay_out(tree, data / channel, share=False)
        if run.spec.code is not None:
            self._artifacts.lay_out(run.spec.code, base / "code", share=False)
        needed = ALGORITHM_REQUIREMENTS.get(run.spec.algorithm or "")
        if needed is not None and find_spec(needed.module) is None:
            (base / "code").mkdir()
            (base / "code" / REQUIREMENTS).write_text("".join(f"{line}\n" for line in needed.lines))
        return base

    async def _upload(self, run: Run, fact: JobFact) -> None:
        """Raises Conflict where a stop was asked for meanwhile; the next pass completes it all the same."""
        self._store.runs.move(run.id, run.status, RunStep.UPLOADING, self._clock.now(), metrics=fact.metrics)
        model = run.spec.model
        version = await asyncio.to_thread(self.register, run, model, fact.metrics) if model else None
        self._end(run, RunStatus.COMPLETED, RunStep.COMPLETED, fact, None, version)

    def register(self, run: Run, model: str, metrics: dict[str, float] | None = None) -> int:
        """Makes what a run left a version of a model: once, however often it is called. Raises StoreFailed."""
        folder = self._folder / run.id / "ml" / "model"
        if not any(one.is_file() for one in folder.rglob("*")):
            raise StoreFailed(
                f"cannot register a version of model {model}: the run wrote nothing to its model folder",
                "write the model to the folder that SM_MODEL_DIR names",
            )
        tree = self._artifacts.put_folder(folder)
        files = self._artifacts.tree(tree)
        lineage = Lineage(
            run=run.id,
            inputs=run.spec.inputs,
            hyperparameters=run.spec.hyperparameters,
            metrics=run.metrics if metrics is None else metrics,
            code_digest=run.spec.code or f"builtin:{run.spec.algorithm}@{VERSION}",
            git_commit=run.spec.git_commit,
            sources=run.spec.sources,
            parents=run.spec.parents,
        )
        registered = self._store.models.register(
            model,
            run.spec.project,
            tree,
            sum(one.size_bytes for one in files),
            _framework(folder, [one.path for one in files]),
            lineage,
            self._clock.now(),
        )
        return registered.version

    def _retry(self, run: Run, fact: JobFact | None) -> None:
        reason = mask(self._store, _end_reason(fact))
        again = self._store.runs.move(
            run.id, RunStatus.IN_PROGRESS, RunStep.RESTARTING, self._clock.now(), metrics=fact.metrics if fact else None
        )
        self._event(run, f"attempt {run.attempt} ended: {reason}; attempt {again.attempt} follows")

    # -- endings -----------------------------------------------------------------------------------------------------

    def _fail(self, run: Run, message: str) -> None:
        self._end(run, RunStatus.FAILED, RunStep.FAILED, None, message)

    def _end_stopped(self, run: Run, fact: JobFact | None) -> None:
        if fact is not None and fact.ended_by == "max_runtime":
            reason = f"it ran longer than its maximum of {run.spec.max_runtime_seconds:g} s"
            self._end(run, RunStatus.STOPPED, RunStep.MAX_RUNTIME_EXCEEDED, fact, reason)
        else:
            reason = None if run.stop_requested else WENT_DOWN
            self._end(run, RunStatus.STOPPED, RunStep.STOPPED, fact, reason)

    def _end(
        self,
        run: Run,
        status: RunStatus,
        step: RunStep,
        fact: JobFact | None,
        reason: str | None,
        version: int | None = None,
    ) -> None:
        reason = None if reason is None else mask(self._store, reason)
        self._store.keys.end_job_token(run.id)
        self._store.runs.move(
            run.id,
            status,
            step,
            self._clock.now(),
            exit_code=fact.exit_code if fact is not None else None,
            failure_reason=reason,
            metrics=fact.metrics if fact is not None else None,
            model_version=version,
        )
        registered = f", registered {run.spec.model}:{version}" if version else ""
        self._event(run, f"{status.value}{registered}{f': {reason}' if reason else ''}")

    def _event(self, run: Run, sentence: str) -> None:
        tell(self._store.events, "run", run.id, sentence, self._clock.now())


def _order(run: Run, base: Path, python: str | None, secrets: dict[str, str], environment: dict[str, str]) -> JobOrder:
    """What to run, in SageMaker's layout below `base`; with `python`, or the yard's own where it is None."""
    plan = JobPlan(
        name=run.id,
        base=str(base),
        entry=run.spec.entry,
        algorithm=run.spec.algorithm,
        channels=sorted(run.spec.inputs),
        content_types=run.spec.content_types,
        hyperparameters=run.spec.hyperparameters,
        environment=run.spec.environment,
        python_path=run.spec.python_path,
        python=python or sys.executable,
    )
    process = lay_out_job(plan)
    return JobOrder(
        id=run.id,
        base=str(base),
        command=tuple(process.command),
        environment={**first_on_path(python), **environment, **process.environment},
        max_runtime_seconds=run.spec.max_runtime_seconds,
        stop_grace_seconds=run.spec.stop_grace_seconds,
        attempt=run.attempt,
        cpu_millis=run.spec.cpu_millis,
        memory_bytes=run.spec.memory_bytes,
        secrets=secrets,
        log_metrics=run.spec.log_metrics,
    )


def _clear(base: Path) -> None:
    """Away with what an earlier attempt, or a dead controller, left: all but what a later attempt goes on from."""
    if not base.is_dir():
        return
    for place in (*base.iterdir(), *(base / "output").glob("*")):
        if place.name in ("output", CHECKPOINTS) or place == Path(metrics_file(str(base))):
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _end_reason(fact: JobFact | None) -> str:
    if fact is None or fact.exit_code is None:
        return LOST
    if fact.ended_by == "stop":
        return WENT_DOWN
    return "it ran longer than it may" if fact.ended_by == "max_runtime" else reason_of(fact)


def _framework(folder: Path, paths: list[str]) -> str | None:
    found = detect(paths, lambda path: _head(folder / path)).framework
    return found.value if found is not None else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
