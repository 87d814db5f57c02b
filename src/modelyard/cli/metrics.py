"""What an endpoint did, or several under one name: requests, errors, latency and its parts, by version and over time;
what its tracker saw."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.session import open_client
from modelyard.cli.times import age
from modelyard.domain.splitters import KIND as SPLITTER
from modelyard.domain.splitters import splitter_from

if TYPE_CHECKING:
    from modelyard.sdk.metrics import MetricsView, TrackerView

STEPS_SHOWN = 12
"""The last steps that are printed; the JSON document has them all."""

_HEADER = ("requests", "/s", "2XX", "4XX", "5XX", "p50", "p95", "p99", "queue p95", "model p95", "batch", "in flight")


def metrics(
    name: Annotated[str, typer.Argument(help="Endpoint, or a name that several answer under.")],
    since: Annotated[str, typer.Option(help="How long ago (30m, 7d), or a time.")] = "1h",
    step: Annotated[str | None, typer.Option(help="Length of the steps: 10s, 1m, 1h.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="One version alone.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Show what an endpoint did: requests, errors, latency and its parts, and tracked predictions."""
    with open_client() as client:
        kind, found = client.resolve(name, ("endpoint", SPLITTER))
        split = splitter_from(client.resource(kind, found)["spec"]) if kind == SPLITTER else None
        views = {
            one.variant: client.metrics(one.endpoint, since=since, step=step, version=version)
            for one in (split.members if split else ())
        }
        view = None if split else client.metrics(found, since=since, step=step, version=version)
    if output is Format.JSON:
        say_json(view or {"name": found, "variants": views})
        return
    for line in metrics_lines(view) if view else variant_lines(found, views):
        say(line)


def metrics_lines(view: "MetricsView") -> list[str]:
    """A row for each version, one for each of the last steps, and the tracker's."""
    if not view["points"]:
        return [f"{view['name']}: no requests since {view['since']} (what was counted shows within 5 seconds)"]
    versions = [(one["version"] or "none", *_row(one["values"])) for one in view["versions"]]
    if len(versions) > 1:
        versions.append(("all", *_row(view["values"])))
    steps = [(f"{age(one['at'])} ago", *_row(one["values"])) for one in view["points"][-STEPS_SHOWN:]]
    lines = [*table_lines(("version", *_HEADER), versions), "", *table_lines(("until", *_HEADER), steps)]
    return [*lines, *tracker_lines(view["tracker"])]


def variant_lines(name: str, views: "dict[str, MetricsView]") -> list[str]:
    """A row for each of several endpoints that answer under one name, side by side."""
    rows = [(variant, *_row(view["values"])) for variant, view in views.items() if view["points"]]
    if not rows:
        since = next(iter(views.values()))["since"]
        return [f"{name}: no requests since {since} (what was counted shows within 5 seconds)"]
    return table_lines(("variant", *_HEADER), rows)


def _row(values: dict[str, float | None]) -> tuple[Any, ...]:
    requests, client_errors, server_errors = (int(values[one] or 0) for one in ("requests", "errors_4xx", "errors_5xx"))
    rate, batch, in_flight = (values[one] for one in ("requests_per_second", "batch_mean", "in_flight"))
    times = (_time(values[one]) for one in ("latency_p50", "latency_p95", "latency_p99", "queue_p95", "model_p95"))
    decimals = (None if one is None else f"{one:.1f}" for one in (batch, in_flight))
    answered = requests - client_errors - server_errors
    return (requests, f"{rate or 0:.3g}", answered, client_errors, server_errors, *times, *decimals)


def _time(seconds: float | None) -> str | None:
    """`0.31 ms`, `25 ms`, `1.2 s`."""
    if seconds is None:
        return None
    return (
        f"{seconds:.3g} s"
        if seconds >= 1
        else f"{seconds * 1000:.2g} ms"
        if seconds < 0.01
        else f"{seconds * 1000:.0f} ms"
    )


def tracker_lines(tracker: "TrackerView | None") -> list[str]:
    """As Cortex shows them: classes with their counts, or the least, the largest and the average value."""
    if tracker is None:
        return []
    lines: list[str] = []
    if tracker["classes"]:
        lines += ["", *table_lines(("class", "count"), list(tracker["classes"].items()))]
    if tracker["count"]:
        values = [_plain(tracker["minimum"]), _plain(tracker["maximum"]), _plain(tracker["mean"]), tracker["count"]]
        lines += ["", *table_lines(("min", "max", "avg", "count"), [values])]
    return lines


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def add_to(app: typer.Typer) -> None:
    app.command()(metrics)
