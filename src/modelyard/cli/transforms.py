"""Batch transforms: transform, transforms."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, first_line, remark, say, say_json, say_table, table_lines
from modelyard.cli.progress import PLAIN_SECONDS, sending, waiting
from modelyard.cli.session import open_client
from modelyard.cli.times import age, between, size

if TYPE_CHECKING:
    from modelyard.protocol.views_of_transforms import TransformProgressView, TransformView
    from modelyard.sdk.client import Client

COMPLETED = "Completed"
FAILED_SHOWN_MAX = 10


class Split(StrEnum):
    AUTO = "Auto"
    NONE = "None"
    LINE = "Line"
    RECORD_IO = "RecordIO"
    TF_RECORD = "TFRecord"


class Strategy(StrEnum):
    AUTO = "Auto"
    MULTI_RECORD = "MultiRecord"
    SINGLE_RECORD = "SingleRecord"


class Assemble(StrEnum):
    AUTO = "Auto"
    NONE = "None"
    LINE = "Line"


class Compression(StrEnum):
    AUTO = "Auto"
    NONE = "None"
    GZIP = "Gzip"


class Header(StrEnum):
    NONE = "None"
    SKIP = "Skip"
    REPEAT = "Repeat"


class Join(StrEnum):
    NONE = "None"
    INPUT = "Input"


def transform(
    model: Annotated[str, typer.Argument(help="NAME, NAME:VERSION or NAME@ALIAS, endpoint/NAME, or a model's file.")],
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A file, a folder, or an http(s) URL.")],
    output_: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="A folder; each input becomes NAME.out there; {job} is its id.")
    ],
    name: Annotated[str | None, typer.Option(help="What its id begins with.")] = None,
    project: Annotated[str | None, typer.Option(help="Project; by default the name of the folder.")] = None,
    content_type: Annotated[str | None, typer.Option(help="What the input is; by default by file names.")] = None,
    accept: Annotated[str | None, typer.Option(help="What the output is to be; by default as the input.")] = None,
    split: Annotated[Split | None, typer.Option(case_sensitive=False, help="How an object becomes requests.")] = None,
    strategy: Annotated[
        Strategy | None, typer.Option(case_sensitive=False, help="Lines of a request: as many as fit, or one.")
    ] = None,
    assemble: Annotated[
        Assemble | None, typer.Option(case_sensitive=False, help="What stands between answers: nothing, or a line end.")
    ] = None,
    max_payload: Annotated[float | None, typer.Option(help="MiB of one request; 0 is without limit.")] = None,
    processes: Annotated[int | None, typer.Option(help="That score at once; by default one a core.")] = None,
    compression: Annotated[
        Compression | None, typer.Option(case_sensitive=False, help="Of the input; by default by file names.")
    ] = None,
    header: Annotated[
        Header | None,
        typer.Option(case_sensitive=False, help="First line of CSV: a row, names to skip, names for every request."),
    ] = None,
    input_filter: Annotated[str | None, typer.Option(help="JSONPath: what of a record the model is sent.")] = None,
    output_filter: Annotated[str | None, typer.Option(help="JSONPath: what of the answer is written.")] = None,
    join: Annotated[
        Join | None, typer.Option(case_sensitive=False, help="Input: write each record with its answer.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one request may take.")] = None,
    retries: Annotated[int | None, typer.Option(help="How often a request that failed is tried again, 0 to 3.")] = None,
    cpu: Annotated[int | None, typer.Option(min=1, help="Cores to wait for; by default one.")] = None,
    mem: Annotated[
        int | None, typer.Option(min=1, metavar="MIB", help="Memory to wait for, and at most to take.")
    ] = None,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Of what waits, the highest starts first.")] = 0,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when the transform is accepted.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Score a file, a folder or a URL with a model; what is interrupted goes on where it was."""
    options: dict[str, Any] = {
        "content_type": content_type,
        "accept": accept,
        "split": split,
        "strategy": strategy,
        "assemble": assemble,
        "max_payload_mb": max_payload,
        "processes": processes,
        "compression": compression,
        "csv_header": header,
        "input_filter": input_filter,
        "output_filter": output_filter,
        "join": join,
        "timeout_seconds": timeout,
        "retries": retries,
    }
    room = {"priority": priority}
    room |= {"cpu_millis": 1000 * cpu} if cpu else {}
    room |= {"memory_bytes": mem * 2**20} if mem else {}
    with open_client() as client:
        with sending() as progress:
            view = client.transform(
                model, input_, output_, name=name, project=project, room=room, progress=progress, **options
            )
        remark(f"started {view.id}")
        if not detach:
            view = _wait(client, view.id)
    if output is Format.JSON:
        say_json(view)
    elif detach:
        say(f"`modelyard transforms {view.id}` shows how far it is, `modelyard stop {view.id}` stops it")
    else:
        for line in transform_lines(view):
            say(line)
    if not detach and view.status != COMPLETED:
        raise typer.Exit(1)


def _wait(client: "Client", transform_id: str) -> "TransformView":
    try:
        with waiting(every_seconds=0.0 if sys.stderr.isatty() else PLAIN_SECONDS) as shown:
            return client.wait_transform(transform_id, progress=lambda view: shown.show(_sentence(view)))
    except KeyboardInterrupt:
        remark(f"\n{transform_id} goes on; `modelyard stop {transform_id}` stops it")
        raise


def _sentence(view: "TransformView") -> str:
    progress = view.progress
    if view.waiting:
        return f"{view.id}: waiting, {view.waiting}"
    if progress is None or (not progress.records and view.status == "InProgress"):
        return f"{view.id}: {'waiting' if view.started_at is None else 'loading the model'}"
    return f"{view.id}: {progress_words(progress)}"


def progress_words(progress: "TransformProgressView", *, ended: bool = False) -> str:
    """`48% (480,000 records), 151,000 records/s, 3s left`; nothing is left where it has ended."""
    total, records = progress.bytes_total, f"{progress.records:,} records"
    words = [f"{100 * progress.bytes // total}% ({records})" if total else records]
    if progress.objects > 1:
        words.append(f"{progress.objects_done} of {progress.objects} objects")
    if progress.records_per_second:
        words.append(f"{progress.records_per_second:,.0f} records/s")
    if progress.seconds_left and not ended:
        words.append(f"{_duration(progress.seconds_left)} left")
    return ", ".join(words)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def transform_lines(view: "TransformView") -> list[str]:
    """Everything about a transform: how it stands, how far it is, what failed."""
    lines = [f"{view.id}: {view.status} after {between(view.created_at, view.ended_at)}"]
    if view.failure_reason:
        lines.append(f"reason: {view.failure_reason}")
    if view.waiting:
        lines.append(f"waits: {view.waiting}")
    lines += ["", f"model: {view.model or view.package[:12]}", f"input: {view.input}"]
    lines.append(f"output: {view.output}")
    progress = view.progress
    if progress is not None:
        words = progress_words(progress, ended=view.ended_at is not None)
        total = f" of {size(progress.bytes_total)}" if progress.bytes_total is not None else ""
        lines += [f"scored: {words}", f"read: {size(progress.bytes)}{total}"]
    if view.attempts > 1:
        lines.append(f"processes: {view.attempts}, each went on where the one before was")
    if view.failed:
        rows = [(one.name, first_line(one.reason)) for one in view.failed[:FAILED_SHOWN_MAX]]
        lines += ["", *table_lines(("failed", "reason"), rows)]
        if len(view.failed) > FAILED_SHOWN_MAX:
            lines.append(f"and {len(view.failed) - FAILED_SHOWN_MAX} more")
    return lines


def transforms(
    name: Annotated[str | None, typer.Argument(help="One transform.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    output: Output = Format.PRETTY,
) -> None:
    """List batch transforms, newest first, or show one with how far it is."""
    with open_client() as client:
        if name is not None:
            _kind, found = client.resolve(name, ("transform",))
            view = client.get_transform(found)
            if output is Format.JSON:
                say_json(view)
            else:
                for line in transform_lines(view):
                    say(line)
            return
        listed = client.transforms(limit)
    if output is Format.JSON:
        say_json({"transforms": listed})
    elif not listed:
        say("no transforms yet; `modelyard transform MODEL INPUT OUTPUT` starts one")
    else:
        say_table(("transform", "status", "model", "records", "took", "started"), [_row(one) for one in listed])


def _row(view: "TransformView") -> tuple[str | None, ...]:
    records = f"{view.progress.records:,}" if view.progress else None
    return (
        view.id,
        view.status,
        view.model,
        records,
        between(view.created_at, view.ended_at),
        age(view.created_at),
    )


def add_to(app: typer.Typer) -> None:
    for command in (transform, transforms):
        app.command()(command)
