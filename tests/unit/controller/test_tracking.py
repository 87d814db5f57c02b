"""The pass over metrics: what jobs log is kept once and told once, whoever is away meanwhile."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker.job_environment import metrics_file

from modelyard.clock import ManualClock
from modelyard.controller.tracking import AWAY_SECONDS, LAST_WORDS_SECONDS, REFUSED_SECONDS, TrackingPass
from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep
from modelyard.domain.tracking import Point
from modelyard.errors import NotReady, StoreFailed
from modelyard.settings import Home
from modelyard.store.memory import MemoryStore
from modelyard.store.mlflow import Tracker


class ScriptedTracker(Tracker):
    """A tracking server that hears what it is told, is away, or refuses a run."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.away = False
        self.refused: str | None = None
        self.described: list[str] = []
        self.points: list[tuple[str, int, float]] = []
        self.ended: list[str] = []

    def answers(self) -> bool:
        return True

    def describe(self, run: Run) -> None:
        self._hear(run)
        self.described.append(run.id)

    def log(self, run: Run, points: list[Point]) -> None:
        self._hear(run)
        self.points += [(run.id, one.step, one.value) for one in points]

    def end(self, run: Run) -> None:
        self._hear(run)
        self.ended.append(run.id)

    def _hear(self, run: Run) -> None:
        if self.away:
            raise NotReady("cannot reach it")
        if run.id == self.refused:
            raise StoreFailed("cannot tell it of this run")


class Stage:
    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.store, self.clock, self.tracker = MemoryStore(), ManualClock(), ScriptedTracker(self.home)
        self.begin_anew()

    def begin_anew(self) -> None:
        """The controller was killed, and another one has come."""
        self.tracking = TrackingPass(self.store, self.home.runs, self.tracker, self.clock, lambda: None)

    def start(self, training: str = "fit") -> str:
        run = self.store.runs.create(RunSpec(training, "shop", None, "train.py", None), self.clock.now()).id
        self.store.tracking.open(run)
        return run

    def write(self, run: str, text: str) -> None:
        path = Path(metrics_file(str(self.home.runs / run / "ml")))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    def log(self, run: str, *values: float) -> None:
        self.write(run, "".join(json.dumps({"name": "loss", "value": value}) + "\n" for value in values))

    def complete(self, run: str) -> None:
        self.store.runs.move(run, RunStatus.COMPLETED, RunStep.COMPLETED, self.clock.now())

    def look(self) -> None:
        while self.tracking.look():
            pass

    def kept(self, run: str) -> list[float]:
        return [point.value for _, point in self.store.tracking.points(run)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_what_a_run_logs_is_kept_and_told_in_order_and_its_end_last(stage: Stage) -> None:
    run = stage.start()
    stage.log(run, 3.0, 2.0)
    stage.look()
    assert stage.store.runs.get(run).metrics == {"loss": 2.0}
    stage.log(run, 1.0)
    stage.complete(run)
    stage.look()
    assert stage.kept(run) == [3.0, 2.0, 1.0]
    assert stage.tracker.points == [(run, 0, 3.0), (run, 1, 2.0), (run, 2, 1.0)]
    assert (stage.tracker.described, stage.tracker.ended) == ([run], [run])


def test_a_run_that_begins_and_ends_between_two_looks_is_told_of_all_the_same(stage: Stage) -> None:
    run = stage.start()
    stage.log(run, 1.0)
    stage.complete(run)
    stage.look()
    assert (stage.tracker.points, stage.tracker.ended) == ([(run, 0, 1.0)], [run])
    assert stage.store.tracking.unsent(10) == []


def test_what_a_lost_run_logs_after_its_end_was_seen_is_kept_and_told_too(stage: Stage) -> None:
    run = stage.start()
    stage.log(run, 1.0)
    stage.store.runs.move(run, RunStatus.LOST, RunStep.COMPLETED, stage.clock.now())
    stage.tracking.look()
    stage.log(run, 2.0)
    stage.clock.advance(LAST_WORDS_SECONDS)
    stage.tracking.look()
    assert stage.tracker.points == [(run, 0, 1.0), (run, 1, 2.0)]
    assert stage.tracker.ended == [run]
    assert stage.store.tracking.unread() == []


def test_a_server_that_is_away_is_told_everything_when_it_is_back(stage: Stage) -> None:
    stage.tracker.away = True
    run = stage.start()
    stage.log(run, 1.0)
    stage.look()
    stage.complete(run)
    stage.begin_anew()
    stage.look()
    assert (stage.kept(run), stage.tracker.points) == ([1.0], [])
    stage.tracker.away = False
    stage.look()
    assert stage.tracker.points == [], "it is left alone for a while"
    stage.clock.advance(AWAY_SECONDS)
    stage.look()
    assert (stage.tracker.points, stage.tracker.ended) == ([(run, 0, 1.0)], [run])


def test_a_run_that_the_server_refuses_holds_up_that_run_alone(stage: Stage) -> None:
    refused, other = stage.start("refused"), stage.start("other")
    stage.tracker.refused = refused
    stage.log(refused, 1.0)
    stage.log(other, 2.0)
    stage.look()
    assert stage.tracker.points == [(other, 0, 2.0)]
    stage.tracker.refused = None
    stage.clock.advance(REFUSED_SECONDS)
    stage.look()
    assert stage.tracker.points == [(other, 0, 2.0), (refused, 0, 1.0)]


def test_lines_that_are_no_metrics_are_passed_over(stage: Stage) -> None:
    run = stage.start()
    stage.write(run, 'torn {"name\n[1]\n{"name": "", "value": 1}\n{"name": "x", "value": "high"}\n')
    stage.log(run, 4.0)
    stage.write(run, '{"name": "loss", "val')
    stage.look()
    assert stage.kept(run) == [4.0]


@given(st.lists(st.sampled_from(["log", "look", "kill", "away", "back"]), max_size=25))
def test_whatever_happens_in_between_each_value_is_kept_and_told_once(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[str]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("home"))
    run, logged = stage.start(), 0
    for one in happenings:
        if one == "log":
            stage.log(run, float(logged))
            logged += 1
        elif one == "look":
            stage.look()
        elif one == "kill":
            stage.begin_anew()
        else:
            stage.tracker.away = one == "away"
    stage.tracker.away = False
    stage.complete(run)
    stage.clock.advance(AWAY_SECONDS)
    stage.look()
    wanted = [float(value) for value in range(logged)]
    assert stage.kept(run) == [value for _, _, value in stage.tracker.points] == wanted
    assert stage.tracker.ended == [run]
