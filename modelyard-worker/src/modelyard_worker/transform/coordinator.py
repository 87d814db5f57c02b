"""The one loop of a transform: pieces out in order to whoever is idle, answers in, written in order.

`window` holds the pieces that are under way, oldest first. Only its head is ever written, so the output has the input's
order; it is bounded, so what is in memory is too. An object that fails leaves nothing and stops nobody else; the job as
a whole then ends as failed, with the finished objects in their places.
"""

import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
import time
from collections import deque
from typing import Any, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from modelyard_worker import media
from modelyard_worker.job_environment import failure_file
from modelyard_worker.records import write_json
from modelyard_worker.transform import chunks, messages
from modelyard_worker.transform.chunks import Piece, TooLong
from modelyard_worker.transform.journal import Journal
from modelyard_worker.transform.objects import Format, InputGone, Object, find_objects, format_of
from modelyard_worker.transform.outputs import Outputs
from modelyard_worker.transform.plan import CONCURRENT_PAYLOAD_MB_MAX, FAILED, NONE, RESULT, TransformPlan, read_plan
from modelyard_worker.transform.progress import Progress
from modelyard_worker.transform.scorers import Scorer, Scorers

PIECES_PER_SCORER = 2
"""Pieces under way for each process: one that it scores, and one that waits to be written or taken."""

SYNC_SECONDS = 1.0
"""How much work an interruption may cost at most, beside the pieces under way."""

LOOK_SECONDS = 0.5
FAILURE_SECONDS_MAX = 3600.0
"""How long there may be no room to write down why it failed."""
LOCK_SECONDS = 30.0
FAILURES_TOLD_MAX = 100
JOB = -1
"""What the journal has for the job as a whole in place of an object's number: that `on_job_complete` was called."""

RESTARTS_MAX = 100
"""Processes that may be started again; an object whose pieces end them uses up its own tries before."""


class CannotGoOn(Exception):  # noqa: N818 (reads as what happened)
    """The transform as a whole ends here."""


class Stopped(Exception):  # noqa: N818 (reads as what happened)
    """A stop was asked for: what is on disk stays, for whoever goes on."""


class _Work:
    """A piece under way."""

    __slots__ = ("answer", "body", "failure", "format", "object", "piece", "tries")

    def __init__(self, one: Object, found: Format, piece: Optional[Piece], failure: Optional[str] = None) -> None:
        self.object = one
        self.format = found
        self.piece = piece
        self.tries = 0
        self.answer: Optional[Dict[str, Any]] = None
        self.body = b""
        self.failure = failure

    @property
    def settled(self) -> bool:
        return self.answer is not None or self.failure is not None


class _Completion(_Work):
    """The call of the predictor's `on_job_complete`."""

    def __init__(self) -> None:
        super().__init__(Object(JOB, "on_job_complete", "", None, ""), Format("", "", "", "", "", gzip=False), None)


class _Open(NamedTuple):
    """An object's output, open for appending."""

    object: Object
    format: Format
    descriptor: int


def run_transform(folder: str) -> int:
    """Runs the plan in `folder` to its end: 0 where every object was scored, 1 where any was not."""
    os.makedirs(os.path.join(folder, "output"), exist_ok=True)
    plan = read_plan(folder)._replace(base=folder)
    with _alone(folder):
        try:
            return _Coordinator(plan).run()
        except Stopped:
            print("stopped; what was scored so far is kept for a while", file=sys.stderr)
            return 128 + signal.SIGTERM
        except (CannotGoOn, InputGone) as error:
            return _fail(folder, str(error))
        except OSError as error:
            return _fail(folder, f"cannot write: {error.strerror or error} ({error.filename or plan.output})")


def _fail(folder: str, reason: str) -> int:
    with contextlib.suppress(OSError):
        # The log is on a disk too, and may be what has no room.
        print(reason, file=sys.stderr, flush=True)
    limit = time.monotonic() + FAILURE_SECONDS_MAX
    while True:
        try:
            with open(failure_file(folder), "w", encoding="utf-8") as file:
                file.write(reason)
        except OSError as error:
            # A full disk is often the reason itself: it is told as soon as there is room.
            if error.errno == errno.ENOSPC and time.monotonic() < limit:
                time.sleep(LOOK_SECONDS)
                continue
            print(f"cannot write down why: {error}", file=sys.stderr)
        break
    return 1


class _alone:  # noqa: N801 (used as a function is)
    """Holds the transform's lock: two at the same output would undo each other's work. One that was just killed gives
    it back with its last process."""

    def __init__(self, folder: str) -> None:
        self._file = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        limit = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise SystemExit("cannot begin: another process is at this transform") from None
                time.sleep(0.05)
            else:
                return

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


class _Coordinator:
    def __init__(self, plan: TransformPlan) -> None:
        self._plan = plan
        self._objects = find_objects(plan)
        self._journal = Journal(plan.base)
        self._outputs = Outputs(plan)
        self._progress = Progress(plan.base, self._objects, self._journal)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._count = plan.processes or _processes(plan, cores)
        self._threads = max(1, cores // self._count)
        self._window: Deque[_Work] = deque()
        self._source = self._work()
        self._exhausted = False
        self._over: Dict[int, int] = {}
        """Objects that no further piece is wanted of: number -> pieces that they have, 0 where they failed."""
        self._open: Optional[_Open] = None
        self._pending: Dict[str, Any] = {}
        self._counted_bytes = 0
        """Of the open object's own bytes, what the progress has."""
        self._synced_at = time.monotonic()
        self._restarts = 0
        self._stop_asked = False
        self._completes = False
        """Whether the predictor has an `on_job_complete`; known when one is loaded."""
        self._began = time.monotonic()

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._on_stop)
        self._finish_sealed()
        if self._all_ended() and self._journal.place(JOB).ended:
            return self._end()
        self._progress.write(now=True)
        self._scorers = Scorers(self._plan, min(self._count, self._pieces_at_most()), self._threads)
        try:
            self._loop()
            self._complete()
        finally:
            self._scorers.close()
            self._progress.write(now=True)
        return self._end()

    def _on_stop(self, number: int, frame: Any) -> None:  # noqa: ARG002 (a handler's signature)
        self._stop_asked = True

    def _pieces_at_most(self) -> int:
        """A single small object needs no second process."""
        first = self._objects[0]
        found = format_of(self._plan, first.name)
        if len(self._objects) > 1 or found.kind == media.PARQUET or first.size_bytes is None or found.gzip:
            return self._count
        limit = chunks.limit_bytes(self._plan, found)
        return max(1, -(-first.size_bytes // limit)) if limit else 1

    def _loop(self) -> None:
        while True:
            self._look_for_stop()
            self._fill()
            self._hand_out()
            if not self._window and self._exhausted:
                self._close_output()
                return
            if not self._write_settled():
                self._hear()
            self._end_overdue()
            self._progress.write()

    def _look_for_stop(self) -> None:
        if self._stop_asked:
            self._checkpoint()
            raise Stopped

    # -- what is to be done ------------------------------------------------------------------------------------------

    def _work(self) -> Iterator[_Work]:
        """Every piece that is left, in order."""
        for one in self._objects:
            place = self._journal.place(one.number)
            if place.ended:
                continue
            found = format_of(self._plan, one.name)
            try:
                for piece in chunks.pieces(self._plan, one, found, place.at):
                    over = self._over.get(one.number)
                    if over is not None and piece.begin >= over:
                        break
                    yield _Work(one, found, piece)
            except (InputGone, TooLong) as error:
                yield _Work(one, found, None, str(error))
                continue
            # Its end, so that an object without any record has an output too.
            yield _Work(one, found, Piece(one.number, -1, -1, None, b"", b"", one.identity, 0))

    def _fill(self) -> None:
        while not self._exhausted and len(self._window) < PIECES_PER_SCORER * self._count:
            work = next(self._source, None)
            if work is None:
                self._exhausted = True
                return
            if work.piece is not None and work.piece.begin < 0:
                work.answer = {"records": 0}
            self._window.append(work)

    def _hand_out(self) -> None:
        for work in list(self._window):
            if work.settled or work.piece is None or self._given(work):
                continue
            if self._journal.place(work.object.number).failed is not None:
                work.failure = "the object failed before"
                continue
            scorer = self._scorers.idle()
            if scorer is None:
                return
            self._progress.begin()
            self._give(scorer, work)

    def _given(self, work: _Work) -> bool:
        return any(one.work is work for one in self._scorers.all)

    def _give(self, scorer: Scorer, work: _Work) -> None:
        piece = work.piece
        assert piece is not None
        work.tries += 1
        head = {
            "name": work.object.name,
            "format": list(work.format),
            "path": piece.path,
            "begin": piece.begin,
            "end": piece.end,
            "identity": piece.identity,
            "header": piece.header.hex(),
        }
        try:
            scorer.give(work, head, piece.body)
        except OSError:
            self._lose(scorer)

    # -- what is heard -----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        for key, _ in self._scorers.selector.select(LOOK_SECONDS):
            scorer: Scorer = key.data
            try:
                head, body = messages.receive(scorer.wire)
            except (EOFError, OSError):
                self._lose(scorer)
                continue
            scorer.touch()
            self._take(scorer, head, body)

    def _take(self, scorer: Scorer, head: Dict[str, Any], body: bytes) -> None:
        if "beat" in head:
            return
        if not scorer.ready:
            if "failed" in head:
                raise CannotGoOn(f"cannot load the model: {head['failed']}")
            scorer.ready = True
            self._completes = bool(head.get("completes"))
            return
        work: Optional[_Work] = scorer.work
        scorer.work = None
        if work is None:
            return
        if "failed" not in head:
            work.answer, work.body = head, body
            if work.piece is not None:
                self._progress.answered(time.monotonic() - scorer.given_at)
            return
        self._progress.tries_failed += 1
        if head.get("lasting") or work.tries > self._plan.retries:
            work.failure = self._worded(work, str(head["failed"]), head.get("record"))
        else:
            print(f"{work.object.name}: {head['failed']} (try {work.tries})", file=sys.stderr, flush=True)

    def _worded(self, work: _Work, message: str, record: Optional[int]) -> str:
        name = work.object.name
        if isinstance(work, _Completion):
            return f"cannot complete the job: {name}: {message}"
        if record is None or work.piece is None:
            return f"cannot score {name}: {message}"
        if record == 0 and work.piece.begin == 0 and self._plan.csv_header == NONE and "no header" in message:
            message += "; `csv_header: Skip`, or `--header Skip`, leaves a first line of names out"
        # What was written of the object before this piece is known only when the piece is written itself.
        return f"cannot score {name}, record {{first}}+{record}: {message}"

    def _lose(self, scorer: Scorer, reason: Optional[str] = None) -> None:
        """A process is gone: what it was at is tried again by another."""
        work: Optional[_Work] = scorer.work
        was_ready = scorer.ready
        how = self._scorers.end(scorer)
        reason = reason or f"its process died: {how}"
        self._restarts += 1
        self._progress.tries_failed += work is not None
        if not was_ready or self._restarts > RESTARTS_MAX:
            raise CannotGoOn(f"cannot load the model: {reason}" if not was_ready else f"cannot go on: {reason}")
        if work is not None:
            print(f"{work.object.name}: {reason} (try {work.tries})", file=sys.stderr, flush=True)
            if work.tries > self._plan.retries:
                work.failure = self._worded(work, reason, None)
        self._scorers.start()

    def _end_overdue(self) -> None:
        for scorer in self._scorers.overdue():
            if not scorer.ready:
                raise CannotGoOn("cannot load the model: it takes too long")
            self._lose(scorer, f"no answer within {self._plan.timeout_seconds:g} s")

    def _complete(self) -> None:
        """Has one process call the predictor's `on_job_complete`, when every object has ended, well or not. That it was
        called is noted, for whoever goes on; one that is killed before that calls it again."""
        if self._journal.place(JOB).ended:
            return
        while self._scorers.idle() is None:
            self._look_for_stop()
            self._hear()
            self._end_overdue()
        if self._completes:
            work = _Completion()
            while not work.settled:
                self._look_for_stop()
                scorer = self._scorers.idle()
                if scorer is not None and not self._given(work):
                    self._give_completion(scorer, work)
                self._hear()
                self._end_overdue()
            if work.failure is not None:
                print(work.failure, file=sys.stderr, flush=True)
                self._journal.write([{"object": JOB, "failed": work.failure}])
                return
        self._journal.write([{"object": JOB, "done": True}])

    def _give_completion(self, scorer: Scorer, work: _Work) -> None:
        work.tries += 1
        try:
            scorer.give(work, {"complete": True}, b"")
        except OSError:
            self._lose(scorer)

    # -- what is written ---------------------------------------------------------------------------------------------

    def _write_settled(self) -> bool:
        """Writes what is complete at the window's head; whether there was anything."""
        wrote = False
        while self._window and self._window[0].settled:
            work = self._window.popleft()
            wrote = True
            if self._journal.place(work.object.number).ended:
                continue
            if work.failure is not None:
                self._fail_object(work)
            else:
                self._append(work)
        if self._pending and time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._checkpoint()
        return wrote

    def _append(self, work: _Work) -> None:
        piece, answer = work.piece, work.answer
        assert piece is not None
        assert answer is not None
        one = work.object
        if self._open is None or self._open.object.number != one.number:
            self._close_output()
            place = self._journal.place(one.number)
            descriptor = self._outputs.open(one.number, place.output_bytes)
            self._open = _Open(one, work.format, descriptor)
            self._counted_bytes = self._progress.bytes_of(one)
            self._pending = {
                "object": one.number,
                "at": place.at,
                "bytes": place.output_bytes,
                "records": place.records,
            }
        if piece.begin < 0:
            self._seal()
            return
        if "pieces" in answer:
            self._over[one.number] = int(answer["pieces"])
        if work.body:
            _write_all(self._open.descriptor, work.body)
        self._pending["at"] = piece.end
        self._pending["bytes"] += len(work.body)
        self._pending["records"] += int(answer["records"])
        self._progress.records += int(answer["records"])
        self._progress.done_bytes += piece.size_bytes
        self._counted_bytes += piece.size_bytes
        work.body = b""

    def _checkpoint(self) -> None:
        """What was appended counts from here on."""
        self._synced_at = time.monotonic()
        if self._open is None or not self._pending:
            return
        os.fdatasync(self._open.descriptor)
        self._journal.write([dict(self._pending)])

    def _close_output(self) -> None:
        if self._open is not None:
            os.close(self._open.descriptor)
        self._open, self._pending = None, {}

    def _seal(self) -> None:
        """The object's output is complete: it gets its name."""
        assert self._open is not None
        one, found, _ = self._open
        self._checkpoint()
        self._journal.write([{"object": one.number, "sealing": self._pending["bytes"]}])
        if found.accept == media.PARQUET:
            self._make_parquet(self._outputs.part(one.number))
        self._outputs.finish(one.number, one.output)
        self._journal.write([{"object": one.number, "done": True}])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(chunks.fetched_place(self._plan.base, one.number))
        self._progress.done += 1
        # What no piece counted: a header, what was packed.
        self._progress.done_bytes += max(0, (one.size_bytes or 0) - self._counted_bytes)
        self._close_output()

    def _make_parquet(self, part: str) -> None:
        from modelyard_worker.transform import tables

        pid = os.fork()
        if pid == 0:
            # In a process of its own, so that this one stays small and free of threads.
            try:
                tables.seal(part)
                os._exit(0)
            finally:
                os._exit(1)
        if os.waitpid(pid, 0)[1] != 0:
            raise CannotGoOn(f"cannot write Parquet: see the log; what was scored is in {part}")

    def _fail_object(self, work: _Work) -> None:
        one = work.object
        records = self._journal.place(one.number).records
        if self._open is not None and self._open.object.number == one.number:
            records = int(self._pending["records"])
            self._close_output()
        reason = _numbered(str(work.failure), records)
        print(reason, file=sys.stderr, flush=True)
        self._outputs.drop(one.number)
        self._journal.write([{"object": one.number, "failed": reason}])
        self._over[one.number] = 0
        self._progress.failed += 1

    def _finish_sealed(self) -> None:
        """What an earlier start had completed and not yet named."""
        for one in self._objects:
            place = self._journal.place(one.number)
            if place.sealing and not place.ended:
                if format_of(self._plan, one.name).accept == media.PARQUET and os.path.exists(
                    self._outputs.part(one.number)
                ):
                    self._make_parquet(self._outputs.part(one.number))
                self._outputs.finish(one.number, one.output)
                self._journal.write([{"object": one.number, "done": True}])

    # -- the end -----------------------------------------------------------------------------------------------------

    def _all_ended(self) -> bool:
        return all(self._journal.place(one.number).ended for one in self._objects)

    def _end(self) -> int:
        self._outputs.clear()
        failed = [(one.name, str(self._journal.place(one.number).failed)) for one in self._objects if self._failed(one)]
        records = sum(self._journal.place(one.number).records for one in self._objects if not self._failed(one))
        document = {
            "objects": len(self._objects),
            "failed": [{"name": name, "reason": reason} for name, reason in failed[:FAILURES_TOLD_MAX]],
            "objects_failed": len(failed),
            "records": records,
            "seconds": self._progress.seconds,
        }
        if failed:
            _write_failed(os.path.join(self._plan.base, FAILED), failed)
        write_json(os.path.join(self._plan.base, RESULT), document)
        seconds = time.monotonic() - self._began
        print(f"scored {records} records of {len(self._objects) - len(failed)} objects in {seconds:.1f} s", flush=True)
        incomplete = self._journal.place(JOB).failed
        if not failed:
            return 0 if incomplete is None else _fail(self._plan.base, incomplete)
        others = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
        return _fail(self._plan.base, f"{failed[0][1]}{others} ({len(failed)} of {len(self._objects)} objects failed)")

    def _failed(self, one: Object) -> bool:
        return self._journal.place(one.number).failed is not None


def _write_failed(path: str, failed: List[Tuple[str, str]]) -> None:
    """All of them, a line each: the result has the first hundred."""
    aside = f"{path}.tmp"
    with open(aside, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"name": name, "reason": reason}) + "\n" for name, reason in failed)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _processes(plan: TransformPlan, cores: int) -> int:
    """As many as there are cores, within SageMaker's limit of what is under way."""
    most = int(CONCURRENT_PAYLOAD_MB_MAX // plan.max_payload_mb) if plan.max_payload_mb else cores
    return max(1, min(cores, most))


def _numbered(reason: str, records: int) -> str:
    """With the record's number in the object, from 1, where the piece told its own."""
    before, mark, rest = reason.partition("{first}+")
    if not mark:
        return reason
    number, colon, message = rest.partition(":")
    return f"{before}{records + int(number) + 1}{colon}{message}"


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
