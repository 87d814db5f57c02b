"""The pass over metrics: reads what jobs log, keeps it, and tells the tracking server where there is one.

A job appends its metrics to a file. What is new there is taken into the store within a second or so, and shows in the
run at once. The store is the outbox too: what the tracking server was not told yet stays there, in order, run by run,
until it can be told; the server is never started for it. It drains when somebody has opened MLflow.

Reading and telling take a thread's time, one piece of work after the other, never the loop's.
"""

import asyncio
import contextlib
import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from modelyard_worker.job_environment import metrics_file
from modelyard_worker.records import read_json

from modelyard.clock import Clock
from modelyard.controller.job_tokens import URL_VARIABLE
from modelyard.domain.job_tokens import job_token
from modelyard.domain.runs import Run, RunStatus
from modelyard.domain.tracking import METRICS_PER_BATCH_MAX, NAME_LENGTH_MAX, Point, Progress
from modelyard.errors import ModelyardError, NotFound, NotReady, StoreFailed
from modelyard.protocol.routes import MLFLOW
from modelyard.settings import Home, read_key
from modelyard.store.mlflow import Tracker
from modelyard.store.ports import Store

READ_BYTES_MAX = 2**20
"""What is read of one run's metrics in one pass, so that one that logs without end holds up nobody."""

RUNS_TOLD_MAX = 200
"""Runs that the tracking server is told of in one pass."""

BATCHES_TOLD_MAX = 20
"""Batches of one run in one pass."""

LAST_WORDS_SECONDS = 5.0
"""How long what a lost run logged may still be added to."""

AWAY_SECONDS = 10.0
"""How long a server that could not be reached is left alone."""

REFUSED_SECONDS = 300.0
"""How long after the server has refused something of a run nothing of that run is told."""

_log = logging.getLogger("modelyard.controller")


class JobTracking(NamedTuple):
    """What a job is told of the yard, as environment variables."""

    environment: dict[str, str]
    secrets: dict[str, str]


def job_tracking(home: Home, tracker: Tracker, run: Run) -> JobTracking:
    """Where the yard is; and what lets MLflow in a script write to this very run, through the yard's door. Nothing
    where the yard has no address yet; a server elsewhere that is away now only cannot tell the run's id."""
    written: dict[str, Any] = read_json(str(home.yard)) or {}
    if "url" not in written:
        return JobTracking({}, {})
    environment = {
        URL_VARIABLE: str(written["url"]),
        "MLFLOW_TRACKING_URI": f"{written['url']}{MLFLOW}",
        "MLFLOW_EXPERIMENT_NAME": run.spec.training,
    }
    if tracker.keeps_our_ids:
        environment["MLFLOW_RUN_ID"] = run.id
    else:
        with contextlib.suppress(ModelyardError):
            environment["MLFLOW_RUN_ID"] = tracker.begin(run)
    return JobTracking(environment, {"MLFLOW_TRACKING_TOKEN": job_token(read_key(home), run.id)})


class TrackingPass:
    def __init__(self, store: Store, folder: Path, tracker: Tracker, clock: Clock, wake: Callable[[], None]) -> None:
        """`folder` has the runs' folders."""
        self._store = store
        self._folder = folder
        self._tracker = tracker
        self._clock = clock
        self._wake = wake
        self._away_until = 0.0
        self._refused: dict[str, float] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._under_way: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """Begins a look in the background, where none is under way."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.get_running_loop().create_task(self._guarded())

    async def settle(self) -> None:
        """Looks once more, so that what jobs logged last is kept."""
        if self._under_way is not None:
            await asyncio.wait([self._under_way])
        await self._guarded()

    async def _guarded(self) -> None:
        try:
            if await asyncio.to_thread(self.look):
                self._wake()
        except Exception:  # noqa: BLE001 (whatever it was, the next pass begins from what is then there)
            _log.exception("the pass over metrics failed")

    def look(self) -> bool:
        """One pass: whether there is more to do at once."""
        more = self._read()
        if self._clock.now() < self._away_until or not self._tracker.answers():
            return more
        try:
            return self._tell() or more
        except ModelyardError as error:
            self._away_until = self._clock.now() + AWAY_SECONDS
            log = _log.info if isinstance(error, NotReady) else _log.warning
            log("what is to be told to MLflow is kept: %s", error.message)
            return more

    # -- what jobs logged --------------------------------------------------------------------------------------------

    def _read(self) -> bool:
        more = False
        for name in self._store.tracking.unread():
            with contextlib.suppress(NotFound):
                more = self._read_run(self._store.runs.get(name)) or more
        return more

    def _read_run(self, run: Run) -> bool:
        """Whether there is more to read of it."""
        before = self._store.tracking.progress(run.id)
        data, more = _new_lines(Path(metrics_file(str(self._folder / run.id / "ml"))), before.read_bytes)
        read_all = self._said_all(run) and not more
        points = self._points(run.id, data)
        if not data and read_all == before.read_all:
            return more
        self._store.tracking.add(run.id, points, before.read_bytes + len(data), read_all=read_all)
        last = {one.name: one.value for one in points if math.isfinite(one.value)}
        if last:
            self._store.runs.put_metrics(run.id, last)
        if read_all:
            self._counts.pop(run.id, None)
        return more

    def _said_all(self, run: Run) -> bool:
        """Whether nothing is added to its file any more. Where the wrapper was killed, the reader of what the script
        printed outlives it for a moment and adds the last of it."""
        if not run.ended or run.status is not RunStatus.LOST:
            return run.ended
        return self._clock.now() >= (run.ended_at or 0.0) + LAST_WORDS_SECONDS

    def _points(self, run: str, data: bytes) -> list[Point]:
        counts = self._counts.get(run)
        if counts is None:
            counts = Counter(self._store.tracking.series(run))
        points: list[Point] = []
        for line in data.splitlines():
            point = _point(line, counts, self._clock.now())
            if point is not None:
                points.append(point)
        if points:
            self._counts[run] = counts
        return points

    # -- what the server is told -------------------------------------------------------------------------------------

    def _tell(self) -> bool:
        more = False
        for one in self._store.tracking.unsent(RUNS_TOLD_MAX):
            if self._clock.now() < self._refused.get(one.run, 0.0):
                continue
            try:
                more = self._tell_run(one) or more
            except StoreFailed as error:
                # Of this run alone: somebody deleted it there, or gave a parameter another value. What is to be told
                # of it is kept all the same.
                _log.warning("run %s: %s", one.run, error.message)
                self._refused[one.run] = self._clock.now() + REFUSED_SECONDS
        return more

    def _tell_run(self, progress: Progress) -> bool:
        """Whether there is more to tell of it now."""
        try:
            run = self._store.runs.get(progress.run)
        except NotFound:
            self._store.tracking.note_sent(progress.run, closed=True)
            return False
        if not progress.begun:
            self._tracker.describe(run)
            self._store.tracking.note_sent(run.id, begun=True)
        sent = progress.sent
        for _ in range(BATCHES_TOLD_MAX):
            found = self._store.tracking.points(run.id, after=sent, limit=METRICS_PER_BATCH_MAX)
            if not found:
                break
            self._tracker.log(run, [point for _, point in found])
            sent = found[-1][0]
            self._store.tracking.note_sent(run.id, sent=sent)
        else:
            return True
        if progress.read_all and run.ended:
            self._tracker.end(run)
            self._store.tracking.note_sent(run.id, closed=True)
        return False


def _new_lines(path: Path, begin: int) -> tuple[bytes, bool]:
    """Whole lines of the file from `begin` on, at most READ_BYTES_MAX, and whether there are more. A line that is
    longer than that is passed over."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(READ_BYTES_MAX)
            more = len(data) == READ_BYTES_MAX and bool(file.read(1))
    except OSError:
        return b"", False
    end = data.rfind(b"\n") + 1
    return (data[:end], more) if end or len(data) < READ_BYTES_MAX else (data, more)


def _point(line: bytes, counts: Counter[str], now: float) -> Point | None:
    """None for a line that is no metric: what was torn by a crash, or written by somebody else."""
    try:
        entry: dict[str, Any] = json.loads(line)
        name, value = str(entry["name"]), float(entry["value"])
        step = int(entry["step"]) if entry.get("step") is not None else counts[name]
        at = float(entry.get("at") or now)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    if not name or len(name) > NAME_LENGTH_MAX or not math.isfinite(at):
        return None
    counts[name] += 1
    return Point(name, value, step, at)
