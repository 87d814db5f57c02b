"""Jobs as Cortex's clients submit them to a BatchAPI or a TaskAPI, ask about them, and stop them.

A batch of items is one request, a JSON array: each lies in a file of its own, so that one that fails leaves the others
alone. What the jobs are is a batch's transforms and a training's runs; the words of their statuses are Cortex's.
"""

import json
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from modelyard_worker.object_store import Listed, ObjectStore, parse_place
from modelyard_worker.transform.plan import FAILED
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import StreamingResponse

from modelyard.api.batches import TransformChanges, start_batch
from modelyard.api.permissions import guarded
from modelyard.api.runs import RUNTIME_SECONDS_MAX
from modelyard.api.trainings import RunChanges, start_training
from modelyard.api.transforms import TransformOptions, accept_transform, ask_to_stop, transform_view
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.batches import KIND as BATCH
from modelyard.domain.globs import compile_glob
from modelyard.domain.runs import Run, RunStatus
from modelyard.domain.transforms import Transform
from modelyard.errors import Conflict, InvalidValue, NotFound, Unavailable
from modelyard.protocol.views_of_transforms import TransformProgressView, TransformView
from modelyard.store.disk import disk, sync_files, sync_folder

BATCH_KIND, TASK_KIND = "BatchAPI", "TaskAPI"

BATCH_BYTES_MAX = 256 * 2**10
"""Cortex's limit for the items of one batch."""

BATCHES = "batches"
"""Where they are in a job's folder: a file each."""
BATCHES_MAX = 100_000
FILE_BYTES_MAX = 2**30
"""Of one delimited file: it is read while the job is accepted."""

LISTED_MAX = 100_000
WORKERS_MAX = 64
RECEIVES_MAX = 1000
"""SQS's limit for maxReceiveCount."""
PATHS_MAX = 100
DRY_RUN_LISTED_MAX = 1000


class _Submitted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ItemList(_Submitted):
    items: Annotated[list[Any], Field(min_length=1)]
    batch_size: Annotated[int, Field(ge=1)] = 1


class FileLister(_Submitted):
    s3_paths: Annotated[list[str], Field(min_length=1, max_length=PATHS_MAX)]
    includes: Annotated[list[str], Field(max_length=PATHS_MAX)] = []
    excludes: Annotated[list[str], Field(max_length=PATHS_MAX)] = []
    batch_size: Annotated[int, Field(ge=1)] = 1


class DeadLetterQueue(_Submitted):
    """How often a batch is given to a worker before it is a dead letter. Those stay in the yard, to be read and driven
    again; nothing is sent to the queue of that name."""

    arn: Annotated[str, Field(min_length=1, max_length=2048)]
    max_receive_count: Annotated[int, Field(ge=1, le=RECEIVES_MAX)]


class BatchJob(_Submitted):
    """Exactly one of the last three."""

    workers: Annotated[int, Field(ge=1, le=WORKERS_MAX)] = 1
    timeout: Annotated[int | None, Field(ge=1, le=int(RUNTIME_SECONDS_MAX))] = None
    config: dict[str, Any] | None = None
    sqs_dead_letter_queue: DeadLetterQueue | None = None
    item_list: ItemList | None = None
    file_path_lister: FileLister | None = None
    delimited_files: FileLister | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "BatchJob":
        if sum(one is not None for one in (self.item_list, self.file_path_lister, self.delimited_files)) != 1:
            raise ValueError("give exactly one of item_list, file_path_lister and delimited_files")
        return self


class TaskJob(_Submitted):
    timeout: Annotated[int | None, Field(ge=1, le=int(RUNTIME_SECONDS_MAX))] = None
    config: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class SubmittedView:
    job_id: str
    api_name: str
    kind: Literal["BatchAPI", "TaskAPI"]
    workers: int
    config: dict[str, Any]
    created_time: str


@dataclass(frozen=True, slots=True)
class DryRunView:
    s3_paths: list[str]
    """What would be read, the first thousand; empty for items in the request."""
    message: str


@dataclass(frozen=True, slots=True)
class WorkersView:
    pending: int
    initializing: int
    running: int
    succeeded: int
    failed: int
    stalled: int


@dataclass(frozen=True, slots=True)
class MetricsView:
    succeeded: int
    failed: int
    average_time_per_batch: float | None


@dataclass(frozen=True, slots=True)
class JobStatusView:
    job_id: str
    api_name: str
    kind: Literal["BatchAPI", "TaskAPI"]
    workers: int
    config: dict[str, Any]
    """As it was submitted; of a task its hyperparameters."""
    status: str
    created_time: str
    start_time: str
    end_time: str | None
    total_batch_count: int | None
    batches_in_queue: int | None
    batch_metrics: MetricsView | None
    worker_counts: WorkersView


@dataclass(frozen=True, slots=True)
class JobView:
    job_status: JobStatusView


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A batch that failed as often as it was to be tried."""

    batch: str
    reason: str
    items: list[Any]


@dataclass(frozen=True, slots=True)
class MessageView:
    message: str


Job = Annotated[str, Query(alias="jobID", min_length=1, max_length=128)]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "submissions")

    @router.post("/batches/{name}/jobs", status_code=200)
    def submit_batch(
        name: str, job: BatchJob, *, dry_run: Annotated[bool, Query(alias="dryRun")] = False
    ) -> SubmittedView | DryRunView:
        """Takes on a job as Cortex's BatchAPI does; with `dryRun`, only says what it would read."""
        if dry_run:
            found = [one.place.url for one in _listed(job.file_path_lister or job.delimited_files)]
            return DryRunView(found[:DRY_RUN_LISTED_MAX], "validations passed")
        transform = _submit(yard, name, job)
        return SubmittedView(transform.id, name, BATCH_KIND, job.workers, job.config or {}, iso(transform.created_at))

    @router.get("/batches/{name}/jobs")
    def get_batch_job(name: str, job_id: Job) -> JobView:
        """How far a job is."""
        transform = _of_batch(yard, name, job_id)
        return JobView(_batch_status(name, transform.spec.submitted, transform_view(yard, transform)))

    @router.delete("/batches/{name}/jobs")
    def stop_batch_job(name: str, job_id: Job) -> MessageView:
        """Asks a job to end. Harmless where it has."""
        ask_to_stop(yard, _of_batch(yard, name, job_id).id)
        return MessageView(f"stopped job {job_id}")

    @router.get("/batches/{name}/jobs/dead-letters", response_class=StreamingResponse)
    def get_dead_letters(name: str, job_id: Job) -> StreamingResponse:
        """The batches of a job that failed for good, one a line: batch, reason, items."""
        letters = _dead_letters(yard, _of_batch(yard, name, job_id))
        lines = (json.dumps(asdict(one)) + "\n" for one in letters)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    @router.post("/batches/{name}/jobs/redrive", status_code=200)
    def redrive_batch_job(name: str, job_id: Job) -> SubmittedView:
        """Takes on the batches of a job that failed for good as a job of its own, scored by the same package. Raises
        Conflict where there is none."""
        transform = _redrive(yard, _of_batch(yard, name, job_id))
        workers = int(transform.spec.options["processes"])
        return SubmittedView(transform.id, name, BATCH_KIND, workers, {}, iso(transform.created_at))

    @router.post("/trainings/{name}/jobs", status_code=200)
    def submit_task(name: str, job: TaskJob | None = None) -> SubmittedView:
        """Takes on a job as Cortex's TaskAPI does: `config` becomes hyperparameters."""
        job = job or TaskJob()
        run = start_training(yard, name, RunChanges(hyperparameters=job.config, max_runtime_seconds=job.timeout))
        return SubmittedView(run.id, name, TASK_KIND, 1, job.config, iso(run.created_at))

    @router.get("/trainings/{name}/jobs")
    def get_task_job(name: str, job_id: Job) -> JobView:
        """How it is."""
        return JobView(_task_status(name, _of_training(yard, name, job_id)))

    @router.delete("/trainings/{name}/jobs")
    def stop_task_job(name: str, job_id: Job) -> MessageView:
        """Asks a job to end. Harmless where it has."""
        run = _of_training(yard, name, job_id)
        yard.store.runs.request_stop(run.id, yard.clock.now())
        yard.poke()
        return MessageView(f"stopped job {job_id}")

    return router


def _submit(yard: Yard, name: str, job: BatchJob) -> Transform:
    """Its batches are written first: a transform whose input is not whole would score a part of it."""
    yard.store.resources.get(BATCH, name)
    options = TransformOptions(processes=job.workers, content_type="application/json", split="None", max_payload_mb=1)
    letters = job.sqs_dead_letter_queue
    with _new_folder(yard) as folder:
        count = _write(folder, ((f"{number:06d}", batch) for number, batch in enumerate(_batches(job))))
        return start_batch(
            yard,
            name,
            TransformChanges(input=str(folder / BATCHES), options=options),
            submitted=_submitted(job, count),
            job_output=str(folder / "out"),
            max_runtime_seconds=job.timeout,
            retries=letters.max_receive_count - 1 if letters is not None else None,
        )


def _submitted(job: BatchJob, batches: int) -> dict[str, Any]:
    """As Cortex has it in its `job_spec`."""
    return {
        "workers": job.workers,
        "timeout": job.timeout,
        "config": job.config or {},
        "sqs_dead_letter_queue": job.sqs_dead_letter_queue.model_dump() if job.sqs_dead_letter_queue else None,
        "total_batch_count": batches,
    }


@contextmanager
def _new_folder(yard: Yard) -> Generator[Path]:
    """For the batches of a job; gone again where the job is not taken."""
    folder = yard.home.transforms / f"submitted-{secrets.token_hex(8)}"
    try:
        yield folder
    except BaseException:
        # Where it failed after the job was written down, the job goes on and needs it.
        if not any(Path(one.spec.input).parent == folder for one in yard.store.transforms.unfinished()):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(folder: Path, batches: Iterable[tuple[str, list[Any]]]) -> int:
    """Writes a job's batches, durably, because the job is about to be acknowledged; how many there are."""
    place, count = folder / BATCHES, 0
    with disk("write", folder):
        place.mkdir(parents=True)
        for name, batch in batches:
            if count >= BATCHES_MAX:
                raise InvalidValue(f"cannot take a job of more than {BATCHES_MAX} batches", "raise batch_size")
            (place / f"{name}.json").write_bytes(_encoded(batch))
            count += 1
        sync_files(place)
        sync_folder(folder.parent)
    return count


def _dead_letters(yard: Yard, transform: Transform) -> Iterator[DeadLetter]:
    """None while the job goes on: a batch may be tried again then."""
    told = yard.home.transforms / transform.id / FAILED
    submitted = Path(transform.spec.input).is_relative_to(yard.home.transforms)
    if not submitted or not transform.ended or not told.exists():
        return
    with told.open(encoding="utf-8") as lines:
        for line in lines:
            failed = json.loads(line)
            batch = Path(transform.spec.input) / str(failed["name"])
            yield DeadLetter(batch.stem, str(failed["reason"]), json.loads(batch.read_bytes()))


def _redrive(yard: Yard, transform: Transform) -> Transform:
    with _new_folder(yard) as folder:
        count = _write(folder, ((one.batch, one.items) for one in _dead_letters(yard, transform)))
        if not count:
            raise Conflict(f"cannot drive job {transform.id} again: it has no dead letters", "see its job_status")
        # What nobody named a place for lies beside the batches; elsewhere its answers join those of the first job.
        own = Path(transform.spec.output).is_relative_to(yard.home.transforms)
        spec = replace(
            transform.spec,
            input=str(folder / BATCHES),
            output=str(folder / "out") if own else transform.spec.output,
            submitted={**transform.spec.submitted, "total_batch_count": count},
            scheduled_at=None,
        )
        anew = yard.store.transforms.create(spec, yard.clock.now())
    accept_transform(yard, anew)
    return anew


def _encoded(batch: list[Any]) -> bytes:
    content = json.dumps(batch).encode()
    if len(content) > BATCH_BYTES_MAX:
        raise InvalidValue(
            f"cannot take a batch of {len(content)} bytes: at most {BATCH_BYTES_MAX}", "lower batch_size"
        )
    return content


def _batches(job: BatchJob) -> Iterator[list[Any]]:
    if job.item_list is not None:
        yield from _grouped(iter(job.item_list.items), job.item_list.batch_size)
    elif job.file_path_lister is not None:
        paths = (one.place.url for one in _listed(job.file_path_lister))
        yield from _grouped(paths, job.file_path_lister.batch_size)
    elif job.delimited_files is not None:
        # One file's last lines and the next one's first may share a batch, as Cortex has it.
        lines = (line for one in _listed(job.delimited_files) for line in _lines(one))
        yield from _grouped(lines, job.delimited_files.batch_size)


def _grouped(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _listed(lister: FileLister | None) -> list[Listed]:
    """Objects below the paths, those that any `includes` matches, if there are any, and no `excludes`."""
    if lister is None:
        return []
    found: list[Listed] = []
    is_wanted = _Wanted(lister)
    for path in lister.s3_paths:
        try:
            for one in ObjectStore().find(parse_place(path)):
                if is_wanted(one.place.url):
                    found.append(one)
                if len(found) > LISTED_MAX:
                    raise InvalidValue(f"cannot take more than {LISTED_MAX} objects", "name fewer")
        except ValueError as error:
            raise InvalidValue(str(error)) from error
        except OSError as error:
            raise Unavailable(
                f"cannot list {path}: {getattr(error, 'reason', error)}", "see that it is right"
            ) from error
    if not found:
        raise NotFound("cannot find any object: no key begins so and is included", "see s3_paths and includes")
    return found


class _Wanted:
    """Which objects a lister means."""

    def __init__(self, lister: FileLister) -> None:
        self._includes = [compile_glob(one) for one in lister.includes]
        self._excludes = [compile_glob(one) for one in lister.excludes]

    def __call__(self, url: str) -> bool:
        included = not self._includes or any(one.fullmatch(url) for one in self._includes)
        return included and not any(one.fullmatch(url) for one in self._excludes)


def _lines(one: Listed) -> Iterator[Any]:
    """The JSON values of a file, one a line."""
    if one.size_bytes > FILE_BYTES_MAX:
        raise InvalidValue(f"cannot read {one.place.url}: it has more than {FILE_BYTES_MAX} bytes", "split it")
    try:
        with ObjectStore().open("GET", one.place) as answer:
            for number, line in enumerate(answer, start=1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError as error:
                        raise InvalidValue(f"cannot read {one.place.url}: line {number} is no JSON") from error
    except OSError as error:
        raise Unavailable(f"cannot read {one.place.url}: {getattr(error, 'reason', error)}", "try again") from error


def _of_batch(yard: Yard, name: str, job_id: str) -> Transform:
    found = yard.store.transforms.get(job_id)
    if (found.spec.batch or "").lower() != name.lower():
        raise NotFound(f"cannot find job {job_id!r} of batch {name}")
    return found


def _of_training(yard: Yard, name: str, job_id: str) -> Run:
    found = yard.store.runs.get(job_id)
    if found.spec.training.lower() != name.lower():
        raise NotFound(f"cannot find job {job_id!r} of training {name}")
    return found


def _batch_status(name: str, submitted: dict[str, Any], view: TransformView) -> JobStatusView:
    progress = view.progress
    done, failed = (progress.objects_done, progress.objects_failed) if progress is not None else (0, 0)
    total = progress.objects if progress is not None else None
    ended = view.ended_at is not None
    workers = int(view.options.get("processes") or 1)
    going = {"pending" if view.started_at is None else "running": workers} if not ended else {}
    how = {"succeeded" if view.status == "Completed" else "failed": workers} if ended else {}
    return JobStatusView(
        job_id=view.id,
        api_name=name,
        kind=BATCH_KIND,
        workers=workers,
        config=submitted.get("config") or {},
        status=_batch_word(view, done),
        created_time=view.created_at,
        start_time=view.created_at,
        end_time=view.ended_at,
        total_batch_count=total,
        batches_in_queue=None if total is None else total - done - failed,
        batch_metrics=_metrics(progress),
        worker_counts=_workers({**going, **how}),
    )


def _metrics(progress: TransformProgressView | None) -> MetricsView:
    """Batches that succeeded, and attempts that failed, as Cortex counts them."""
    if progress is None:
        return MetricsView(0, 0, None)
    return MetricsView(progress.objects_done, progress.tries_failed, progress.seconds_per_request)


def _batch_word(view: TransformView, done: int) -> str:
    match view.status:
        case "Completed":
            return "succeeded"
        case "Stopped":
            return "stopped"
        case "Failed":
            reason = view.failure_reason or ""
            if "memory" in reason:
                return "out of memory"
            if "maximum" in reason:
                return "timed out"
            return "completed with failures" if done or view.failed else "worker error"
        case _:
            return "running" if view.started_at is not None else "enqueuing"


def _task_status(name: str, run: Run) -> JobStatusView:
    state = "running" if not run.ended else "succeeded" if run.status is RunStatus.COMPLETED else "failed"
    return JobStatusView(
        job_id=run.id,
        api_name=name,
        kind=TASK_KIND,
        workers=1,
        config=dict(run.spec.hyperparameters),
        status=_task_word(run),
        created_time=iso(run.created_at),
        start_time=iso(run.created_at),
        end_time=None if run.ended_at is None else iso(run.ended_at),
        total_batch_count=None,
        batches_in_queue=None,
        batch_metrics=None,
        worker_counts=_workers({state: 1}),
    )


def _task_word(run: Run) -> str:
    match run.status:
        case RunStatus.COMPLETED:
            return "succeeded"
        case RunStatus.STOPPED:
            return "stopped" if run.stop_requested else "timed out"
        case RunStatus.FAILED | RunStatus.LOST:
            return "out of memory" if "memory" in (run.failure_reason or "") else "worker error"
        case _:
            return "running"


def _workers(counts: dict[str, int]) -> WorkersView:
    return WorkersView(**{one: counts.get(one, 0) for one in WorkersView.__dataclass_fields__})
