"""`modelyard replay`: what a candidate would have answered to requests that were captured."""

from typing import Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.progress import waiting
from modelyard.cli.session import open_client
from modelyard.domain.replays import (
    CONCURRENCY_MAX,
    QUANTILES,
    REQUESTS_DEFAULT,
    REQUESTS_MAX,
    TOLERANCE,
    Report,
    report_document,
)

TEXT_LENGTH = 40
"""Characters of each text of a sample; `-o json` has more."""


def replay(
    name: Annotated[str, typer.Argument(help="Endpoint that captures.")],
    against: Annotated[
        str,
        typer.Option(help="Model (price:4), version of the endpoint (v3), model file, package file, or yard file."),
    ],
    since: Annotated[str, typer.Option(help="How long ago (10m, 2h), or a time.")] = "24h",
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, max=REQUESTS_MAX, help="The newest so many.")
    ] = REQUESTS_DEFAULT,
    version: Annotated[int | None, typer.Option(min=0, help="Only what this version answered.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=CONCURRENCY_MAX, help="Requests at the same time.")] = 1,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="Relative difference of numbers that is none.")] = (
        TOLERANCE
    ),
    ignore: Annotated[list[str] | None, typer.Option(help="A field of answers that does not count; repeat it.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Send captured requests to a candidate before it takes any, and compare its answers and times.

    Exits with 1 where an answer differs.
    """
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        with waiting() as shown:
            report = client.replay(
                found,
                against,
                since=since,
                limit=limit,
                version=version,
                concurrency=concurrency,
                tolerance=tolerance,
                ignore=ignore or (),
                told=lambda state, done: shown.show(f"{found}: {state}" + (f", {done} done" if done else "")),
            )
    if output is Format.JSON:
        say_json(report_document(report))
    else:
        for line in report_lines(report):
            say(line)
    if report.different:
        raise typer.Exit(1)


def report_lines(report: Report) -> list[str]:
    of = f" version {report.version}" if report.version is not None else ""
    lines = [
        f"{report.requests} captured requests of {report.endpoint}{of} against {report.against}:"
        f" {report.same} same, {report.different} different, {report.failed} failed"
        + (f"; {report.skipped} left out, which failed then or whose payload was not kept" if report.skipped else ""),
        "",
        *_time_lines(report),
    ]
    if report.fields:
        rows = [(one.field, one.requests, "" if one.distance is None else f"{one.distance:g}") for one in report.fields]
        lines += ["", *table_lines(("field", "requests", "largest difference"), rows)]
    if report.samples:
        rows = [
            (one.request_id, _cut(one.input), two.field, _cut(two.given), _cut(two.answered))
            for one in report.samples
            for two in one.fields[:1]
        ]
        lines += ["", *table_lines(("request", "input", "first field", "answered then", "candidate"), rows)]
    return lines


def _time_lines(report: Report) -> list[str]:
    rows = [
        (who, *(f"{times[name] * 1000:.1f} ms" if name in times else "" for name in QUANTILES))
        for who, times in (("captured", report.captured_seconds), ("candidate", report.candidate_seconds))
    ]
    return table_lines(("time", *QUANTILES), rows)


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= TEXT_LENGTH else f"{plain[: TEXT_LENGTH - 3]}..."


def add_to(app: typer.Typer) -> None:
    app.command()(replay)
