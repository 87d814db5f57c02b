"""The pass over tunings, with the trials' runs played by the test: what is tried, how often, and what comes of it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.job_environment import metrics_file

from modelyard.clock import ManualClock
from modelyard.controller.tunings import QUESTIONS_FAILED_MAX, TuningsPass
from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep
from modelyard.domain.tunings import Range, Tuning, TuningSpec, TuningStatus
from modelyard.errors import StartFailed
from modelyard.store.memory import MemoryStore

TURNS = 20
"""Turns of the loop that everything in the background needs at most to come to rest."""

TRAINING = RunSpec("price", "shop", "xgboost", None, None)


class Stage:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store, self.clock = MemoryStore(), ManualClock()
        self.questions: list[dict[str, Any]] = []
        self.registered: list[tuple[str, str]] = []
        self.sampler_is_broken = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """The controller was killed, and another one has come."""
        self.tunings = TuningsPass(self.store, self.root, self.clock, lambda: None, self._register, choose=self._choose)

    async def _choose(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        self.questions.append(question)
        if self.sampler_is_broken:
            raise StartFailed("cannot choose what to try next")
        begin = len(question["trials"])
        return [{"eta": 0.1 * (begin + place + 1)} for place in range(question["count"])]

    def _register(self, run: Run, model: str) -> int:
        self.registered.append((run.id, model))
        return 7

    def create(self, **spec: Any) -> Tuning:
        given: dict[str, Any] = {"max_trials": 3, "ranges": [Range("eta", "continuous", 0.0, 1.0)], **spec}
        return self.store.tunings.create(TuningSpec("tune", "shop", TRAINING, "rmse", True, **given), self.clock.now())

    @property
    def tuning(self) -> Tuning:
        return self.store.tunings.get("tune-1")

    async def look(self, passes: int = 2) -> None:
        for _ in range(passes):
            self.tunings()
            await self.tunings.settle()
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def trials(self) -> list[Run]:
        return list(reversed(self.store.runs.select(training="tune-1")))

    def end(self, run: str, rmse: float | None = None, status: RunStatus = RunStatus.COMPLETED) -> None:
        metrics = {} if rmse is None else {"rmse": rmse}
        self.store.runs.move(run, status, RunStep.COMPLETED, self.clock.now(), metrics=metrics, failure_reason="why")

    def log(self, run: str, *values: float) -> None:
        path = Path(metrics_file(str(self.root / run / "ml")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"name": "rmse", "value": value}) + "\n" for value in values))


Tell = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    async def on_stage(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        stage = Stage(tmp_path)
        await story(stage)
        await stage.tunings.close()

    return lambda story: asyncio.run(on_stage(story))


def test_trials_run_side_by_side_and_the_best_ones_model_is_registered(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create(parallel_trials=2, model="price")
        await stage.look()
        assert [one.spec.hyperparameters["eta"] for one in stage.trials()] == ["0.1", "0.2"]
        stage.end("tune-1-1", 3.0)
        await stage.look()
        assert len(stage.trials()) == 3
        stage.end("tune-1-2", 1.0)
        stage.end("tune-1-3", 2.0)
        await stage.look()
        assert (stage.tuning.status, stage.tuning.best_run) == (TuningStatus.COMPLETED, "tune-1-2")
        assert (stage.registered, stage.tuning.model_version) == ([("tune-1-2", "price")], 7)

    tell(story)


def test_a_sampler_is_told_what_came_of_every_trial(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create(parallel_trials=2)
        await stage.look()
        stage.end("tune-1-1", 3.0)
        await stage.look()
        assert stage.questions[-1]["trials"] == [
            {"parameters": {"eta": 0.1}, "value": 3.0, "state": "complete"},
            {"parameters": {"eta": 0.2}, "value": None, "state": "running"},
        ]

    tell(story)


def test_a_controller_that_is_killed_repeats_no_trial_and_leaves_none_out(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create()
        for number in (1, 2, 3):
            await stage.look()
            stage.begin_anew()
            await stage.look()
            assert len(stage.trials()) == number
            stage.end(f"tune-1-{number}", float(number))
            stage.begin_anew()
        await stage.look()
        assert len({one.spec.hyperparameters["eta"] for one in stage.trials()}) == 3
        assert stage.tuning.best_run == "tune-1-1"

    tell(story)


def test_a_sampler_that_cannot_answer_ends_the_tuning_with_its_reason(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.sampler_is_broken = True
        stage.create()
        await stage.look(QUESTIONS_FAILED_MAX + 1)
        assert (stage.tuning.status, stage.tuning.reason) == (TuningStatus.FAILED, "cannot choose what to try next")
        assert stage.trials() == []

    tell(story)


def test_a_stop_ends_its_trials_and_registers_nothing(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create(parallel_trials=2, model="price")
        await stage.look()
        stage.end("tune-1-1", 1.0)
        stage.store.tunings.request_stop("tune-1")
        await stage.look()
        assert stage.store.runs.get("tune-1-2").stop_requested
        stage.end("tune-1-2", status=RunStatus.STOPPED)
        await stage.look()
        assert (stage.tuning.status, stage.tuning.best_run) == (TuningStatus.STOPPED, "tune-1-1")
        assert (len(stage.trials()), stage.registered) == (2, [])

    tell(story)


def test_a_trial_that_is_worse_than_the_median_at_its_step_is_stopped_early(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create(max_trials=4, early_stopping=True)
        for number in (1, 2, 3):
            await stage.look()
            stage.log(f"tune-1-{number}", 3.0, 2.0, 1.0)
            await stage.look()
            stage.end(f"tune-1-{number}", 1.0)
        await stage.look()
        stage.log("tune-1-4", 9.0, 9.0)
        await stage.look()
        assert not stage.store.runs.get("tune-1-4").stop_requested, "too early to say"
        stage.log("tune-1-4", 9.0, 9.0, 9.0)
        await stage.look()
        assert stage.store.runs.get("tune-1-4").stop_requested

    tell(story)


def test_a_grid_asks_no_sampler(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.create(strategy="Grid", parallel_trials=9, ranges=[Range("eta", "categorical", values=["0.1", "0.3"])])
        await stage.look()
        assert [one.spec.hyperparameters["eta"] for one in stage.trials()] == ["0.1", "0.3"]
        assert stage.questions == []

    tell(story)
