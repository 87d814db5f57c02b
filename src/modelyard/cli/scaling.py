"""Scaling: why an endpoint has as many replicas as it has, and what other settings would have made of its load."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.session import open_client
from modelyard.cli.times import age
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.domain.autoscaling import Autoscaling
    from modelyard.domain.traces import Simulation, TraceStep
    from modelyard.protocol.views_of_scaling import DecisionView, ScalingView
    from modelyard.sdk.scaling import Comparison

MOMENTS_SHOWN_MAX = 500
"""Most moments of a simulation in a JSON document."""

_TERMS = ("when", "replicas", "rule", "average", "target", "needed", "lasting", "burst", "recommended", "held", "most")


def explain(
    name: Annotated[str, typer.Argument(help="Endpoint.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, max=500, help="How many of the last decisions.")] = 10,
    output: Output = Format.PRETTY,
) -> None:
    """Explain how many replicas an endpoint has: the last decisions with their terms."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        view = client.scaling(found, limit=lines)
    if output is Format.JSON:
        say_json(view)
        return
    for line in _explained(view):
        say(line)


def _explained(view: "ScalingView") -> list[str]:
    settings = view.autoscaling
    if settings is None:
        return [f"{view.name}: {view.replicas} asked for, always; `autoscaling` in the yard file makes it scale"]
    most = settings.max_replicas
    bounds = f"{settings.min_replicas} to {'as many as there are cores' if most is None else most}"
    head = f"{view.name}: {view.replicas} asked for, of {bounds}"
    if not view.decisions:
        return [head, "", "nothing was decided yet"]
    table = table_lines(_TERMS, [_row(one) for one in view.decisions])
    return [head, "", *table, "", view.decisions[0].sentence]


def _row(one: "DecisionView") -> list[Any]:
    change = f"{one.current} -> {one.requested}" if one.current != one.requested else one.requested
    held = one.stabilized_floor if one.stabilized_floor is not None else one.stabilized_ceiling
    most = one.capacity if one.max_replicas is None else min(one.capacity, one.max_replicas)
    average, needed, lasting = map(_decimal, (one.average_in_flight, one.needed, one.lasting_in_flight))
    target = f"{one.target_in_flight:g}"
    return [
        *(age(one.at), change, one.rule, average, target, needed),
        *(lasting, one.burst, one.recommended, held, most),
    ]


def _decimal(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def simulate(
    trace: Annotated[
        Path | None, typer.Option(help="CSV: seconds, in_flight; or seconds, arrivals_per_second, service_seconds.")
    ] = None,
    recorded: Annotated[str | None, typer.Option(help="Endpoint whose settings and recorded load to take.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A field of `autoscaling` to change.")
    ] = None,
    start_seconds: Annotated[float, typer.Option(min=0.0, help="How long a replica takes to be ready.")] = 0.5,
    output: Output = Format.PRETTY,
) -> None:
    """Replay a load against other settings of autoscaling: replicas, queueing, replica-hours."""
    from modelyard.sdk.scaling import compare  # noqa: PLC0415 (start-up time of the other commands)

    settings, load = _settings_and_load(trace, recorded)
    found = compare(settings, _changes(change or []), load, start_seconds=start_seconds)
    if output is Format.JSON:
        say_json(_document(found))
        return
    for line in _compared(found):
        say(line)


def _settings_and_load(trace: Path | None, recorded: str | None) -> "tuple[Autoscaling, list[TraceStep]]":
    """Of an endpoint both, unless the load comes from a file; without an endpoint the defaults."""
    from modelyard.domain.autoscaling import Autoscaling  # noqa: PLC0415 (as above)
    from modelyard.sdk.scaling import present_settings, read_trace, recorded_trace  # noqa: PLC0415 (as above)

    if recorded is None:
        if trace is None:
            raise InvalidValue("cannot simulate without a load", "give --trace FILE or --recorded NAME")
        return Autoscaling(), read_trace(trace)
    with open_client() as client:
        _kind, found = client.resolve(recorded, ("endpoint",))
        settings = present_settings(client.scaling(found, limit=1))
        return settings, read_trace(trace) if trace else recorded_trace(found, client.load(found), settings)


def _changes(written: list[str]) -> dict[str, str]:
    changes: dict[str, str] = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InvalidValue(f"cannot read --set {one}", "write --set KEY=VALUE, as in --set window=30s")
        changes[key.strip()] = value.strip()
    return changes


def _compared(found: "Comparison") -> list[str]:
    columns = [_figures(found.present)]
    header = ["", "present"]
    if found.changed is not None:
        columns.append(_figures(found.changed))
        header.append(", ".join(f"{key}={value}" for key, value in found.changes.items()))
    rows = [[name, *(one[name] for one in columns)] for name in columns[0]]
    return table_lines(header, rows)


def _figures(one: "Simulation") -> dict[str, str]:
    wait = one.wait_mean_seconds
    return {
        "replica-hours": f"{one.replica_hours:.3f}",
        "most replicas": str(one.replicas_max),
        "waiting on average": f"{one.queued_mean:.2f}",
        "waiting at most": f"{one.queued_max:.1f}",
        "seconds with waiting": f"{one.queueing_seconds:.1f}",
        "wait of a request": "-" if wait is None else f"{wait * 1000:.1f} ms",
        "raises": str(one.raises),
        "cuts": str(one.cuts),
        "starts from zero": str(one.wakes),
    }


def _document(found: "Comparison") -> dict[str, Any]:
    return {
        "settings": asdict(found.settings),
        "changes": found.changes,
        "present": _simulation_document(found.present),
        "changed": _simulation_document(found.changed) if found.changed is not None else None,
    }


def _simulation_document(one: "Simulation") -> dict[str, Any]:
    every = max(1, -(-len(one.moments) // MOMENTS_SHOWN_MAX))
    return {**asdict(one), "moments": [asdict(moment) for moment in one.moments[::every]]}


def add_to(app: typer.Typer) -> None:
    for command in (explain, simulate):
        app.command()(command)
