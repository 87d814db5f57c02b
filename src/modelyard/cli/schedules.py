"""What the yard starts: schedules, and start for what is deployed to be started."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json, say_table
from modelyard.cli.session import open_client
from modelyard.cli.times import age, left
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.protocol.views_of_schedules import ScheduleView

STARTED_KINDS = ("training", "batch")


def schedules(output: Output = Format.PRETTY) -> None:
    """List what is started by the clock, with the last and the next time."""
    with open_client() as client:
        found = client.schedules()
    if output is Format.JSON:
        say_json({"schedules": found})
    elif not found:
        say("no schedules yet; a training, a batch or a function of the yard file gets one by `schedule: 0 3 * * *`")
    else:
        say_table(
            ("schedule", "cron", "time zone", "next", "last", "started", "what was decided"),
            [_row(one) for one in found],
        )


def _row(view: "ScheduleView") -> tuple[str | None, ...]:
    return (
        f"{view.kind}/{view.name}",
        view.cron,
        view.time_zone,
        f"in {left(view.next_at)}" if view.next_at else "never",
        age(view.last_planned_at),
        view.last_started,
        view.sentence,
    )


def schedule_lines(view: "ScheduleView") -> list[str]:
    """One schedule, for beside the resource that has it."""
    last = view.last_planned_at
    lines = [f"next: {view.next_at or 'never'} ({view.cron}, {view.time_zone})"]
    if last is not None:
        lines.append(f"last: {last}, {view.last_started or 'not started'}")
    return [*lines, *([f"decided: {view.sentence}"] if view.sentence else [])]


def start(
    name: Annotated[str, typer.Argument(help="NAME or KIND/NAME of a deployed training or batch.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: a hyperparameter of a training, input or output of a batch."),
    ] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Start a deployed training or batch now, whatever its schedule says."""
    given = _read(changes or [])
    with open_client() as client:
        kind, found = client.resolve(name, STARTED_KINDS)
        view = client.start(kind, found, **({"hyperparameters": given} if kind == "training" and given else given))
    if output is Format.JSON:
        say_json(view)
    else:
        verb = "runs" if kind == "training" else "transforms"
        say(f"started {view['id']}; `modelyard {verb} {view['id']}` shows it")


def _read(changes: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise InvalidValue(f"cannot read {change!r}", "write NAME=VALUE")
        given[name] = text
    return given


def add_to(app: typer.Typer) -> None:
    for command in (schedules, start):
        app.command()(command)
