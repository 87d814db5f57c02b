"""The pass over tunings: starts trials, stops those that lead nowhere, registers the best one's model.

Trials are runs like any other, which the pass over runs sees to. What to try next is asked of a process of its own
(`processes.sampler`), in the background.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard_worker.job_environment import metrics_file
from modelyard_worker.metrics import values_of

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.domain.runs import Run, RunStatus
from modelyard.domain.tunings import (
    Ending,
    Tuning,
    TuningSpec,
    TuningStatus,
    best_trial,
    decide_early_stops,
    decide_tuning,
    grid_points,
    trial_spec,
    tried,
)
from modelyard.errors import ModelyardError, StartFailed
from modelyard.store.ports import Store

SAMPLER = "modelyard.processes.sampler"

ANSWER_SECONDS_MAX = 60.0
"""How long a sampler may take, its start included."""

QUESTIONS_FAILED_MAX = 3
"""So many in a row end a tuning."""

LINE_BYTES_MAX = 2**20

Choose = Callable[[dict[str, Any]], Awaitable[list[dict[str, Any]]]]

_log = logging.getLogger("modelyard.controller")


class Sampler:
    """A process that answers one question after the other, started at the first and when it is gone."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """Raises StartFailed where no answer comes, or a refusal."""
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    answer = json.loads(await self._ask(json.dumps(question).encode() + b"\n"))
            except (OSError, ValueError, TimeoutError) as error:
                await self.close()
                raise StartFailed(f"cannot choose what to try next: {error!r}", "see the controller's log") from error
            except asyncio.CancelledError:
                await self.close()
                raise
        if "error" in answer:
            raise StartFailed(f"cannot choose what to try next: {answer['error']}", "see the tuning's ranges")
        return answer["parameters"]

    async def _ask(self, line: bytes) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                SAMPLER,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


class TuningsPass:
    def __init__(
        self,
        store: Store,
        runs: Path,
        clock: Clock,
        wake: Callable[[], None],
        register: Callable[[Run, str], int],
        choose: Choose | None = None,
    ) -> None:
        """`register` makes what a run left a version of a model; `choose` answers for a sampler."""
        self._store = store
        self._runs = runs
        self._clock = clock
        self._wake = wake
        self._register = register
        self._sampler = Sampler()
        self._choose: Choose = choose or self._sampler
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._curves: dict[str, list[float]] = {}
        self._leaving = False

    def __call__(self) -> None:
        unfinished = self._store.tunings.unfinished()
        for tuning in unfinished:
            if tuning.id not in self._under_way and not self._leaving:
                self._look(tuning)
        if not unfinished:
            self._curves.clear()
            if "" not in self._under_way:
                self._begin("", self._sampler.close())

    def leave(self) -> None:
        """From now on nothing is started."""
        self._leaving = True

    async def settle(self) -> None:
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def close(self) -> None:
        self.leave()
        for task in self._under_way.values():
            task.cancel()
        await self.settle()
        await self._sampler.close()

    def _look(self, tuning: Tuning) -> None:
        trials = self._trials(tuning)
        decision = decide_tuning(tuning, trials, self._clock.now())
        for trial in decision.stop:
            self._store.runs.request_stop(trial, self._clock.now())
        if decision.stop:
            self._wake()
        if decision.end is not None:
            self._begin(tuning.id, self._end(tuning, trials, decision.end))
        elif decision.ask:
            self._begin(tuning.id, self._start(tuning, trials, decision.ask))
        if tuning.spec.early_stopping:
            self._stop_early(tuning, trials)

    def _trials(self, tuning: Tuning) -> list[Run]:
        """In the order in which they began. A training that happens to have the tuning's id has none."""
        found = self._store.runs.select(training=tuning.id, limit=10 * tuning.spec.max_trials)
        return [one for one in reversed(found) if one.spec.tuning == tuning.id]

    def _stop_early(self, tuning: Tuning, trials: list[Run]) -> None:
        for trial in trials:
            if not trial.ended or trial.id not in self._curves:
                path = metrics_file(str(self._runs / trial.id / "ml"))
                self._curves[trial.id] = values_of(path, tuning.spec.metric)
        for trial in decide_early_stops(tuning.spec, trials, self._curves):
            self._store.runs.request_stop(trial, self._clock.now())
            tell(self._store.events, "run", trial, "stopped early: worse than the median so far", self._clock.now())
            self._wake()

    def _begin(self, name: str, steps: Any) -> None:
        self._under_way[name] = asyncio.get_running_loop().create_task(self._guarded(name, steps))

    async def _guarded(self, name: str, steps: Any) -> None:
        try:
            await steps
        except ModelyardError as error:
            _log.warning("tuning %s: %s", name, error)
            self._failed(name, error)
        except Exception:  # noqa: BLE001 (whatever it was, the next pass begins from what is then there)
            _log.exception("tuning %s", name)
        else:
            self._failures.pop(name, None)
            if name:
                self._wake()
        finally:
            self._under_way.pop(name, None)

    def _failed(self, tuning: str, error: ModelyardError) -> None:
        self._failures[tuning] = self._failures.get(tuning, 0) + 1
        if self._failures[tuning] >= QUESTIONS_FAILED_MAX:
            del self._failures[tuning]
            self._store.tunings.end(tuning, TuningStatus.FAILED, self._clock.now(), reason=error.message)
            self._event(tuning, f"Failed: {error.message}")

    async def _start(self, tuning: Tuning, trials: list[Run], count: int) -> None:
        spec = tuning.spec
        if spec.strategy == "Grid":
            chosen = grid_points(spec, len(trials), count)
        else:
            chosen = await self._choose(_question(spec, trials, count))
        if self._leaving or self._store.tunings.get(tuning.id).stop_requested:
            return
        for parameters in chosen:
            run = self._store.runs.create(trial_spec(tuning, parameters), self._clock.now())
            shown = ", ".join(f"{one.name}={run.spec.hyperparameters[one.name]}" for one in spec.ranges)
            tell(self._store.events, "run", run.id, f"a trial of {tuning.id}: {shown}", self._clock.now())

    async def _end(self, tuning: Tuning, trials: list[Run], ending: Ending) -> None:
        best = best_trial(tuning.spec, trials)
        version = None
        if best is not None and tuning.spec.model is not None and ending.status is TuningStatus.COMPLETED:
            version = await asyncio.to_thread(self._register, best, tuning.spec.model)
        self._store.tunings.end(
            tuning.id,
            ending.status,
            self._clock.now(),
            reason=ending.reason,
            best_run=best.id if best else None,
            model_version=version,
        )
        self._event(tuning.id, _sentence(tuning.spec, ending, best, version))

    def _event(self, tuning: str, sentence: str) -> None:
        tell(self._store.events, "tuning", tuning, sentence, self._clock.now())


def _question(spec: TuningSpec, trials: list[Run], count: int) -> dict[str, Any]:
    ranges = [{**asdict(one), "scaling": one.effective_scaling} for one in spec.ranges]
    return {
        "ranges": ranges,
        "minimize": spec.minimize,
        "strategy": spec.strategy,
        "seed": spec.seed,
        "trials": tried(spec, trials),
        "count": count,
    }


def _sentence(spec: TuningSpec, ending: Ending, best: Run | None, version: int | None) -> str:
    parts = [ending.status.value]
    if ending.reason:
        parts.append(f": {ending.reason}")
    if best is not None and best.status is RunStatus.COMPLETED:
        parts.append(f"; best is {best.id} with {spec.metric}={best.metrics[spec.metric]:.6g}")
    if version is not None:
        parts.append(f", registered {spec.model}:{version}")
    return "".join(parts)
