"""Alarms: the state of each, how it came there, who was told."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.session import open_client
from modelyard.cli.times import age

if TYPE_CHECKING:
    from modelyard.sdk.alarms import AlarmHistoryView, AlarmView, DeliveryView


def alarms(
    name: Annotated[str | None, typer.Argument(help="Alarm; nothing lists all.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Send a message to everybody whom it tells.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Show alarms and their states, or the history of one."""
    if test and name is None:
        raise typer.BadParameter("name the alarm to test")
    with open_client() as client:
        if name is None:
            found = client.alarms()
            lines = alarm_table(found) if found else ["no alarms; `kind: alarm` in the yard file makes one"]
            document: object = {"alarms": found}
        elif test:
            sent = client.test_alarm(name)
            lines, document = _delivery_table(sent), {"deliveries": sent}
        else:
            view = client.alarm(name)
            lines, document = alarm_lines(view), view
    if output is Format.JSON:
        say_json(document)
        return
    for line in lines:
        say(line)


def alarm_table(found: "list[AlarmView]") -> list[str]:
    rows = [
        (one["name"], _words(one["state"]), age(one["since"]), one["endpoint"], one["condition"], one["sentence"])
        for one in found
    ]
    return table_lines(("alarm", "state", "since", "endpoint", "condition", "why"), rows)


def alarm_lines(view: "AlarmHistoryView") -> list[str]:
    """The state, the changes, the messages."""
    alarm = view["alarm"]
    head = [f"{alarm['name']}: {_words(alarm['state'])} since {age(alarm['since'])}", alarm["sentence"]]
    changes = [(age(one["at"]), _words(one["state"]), one["value"], one["sentence"]) for one in view["history"]]
    lines = [*head, "", *table_lines(("when", "state", "value", "why"), changes)] if changes else head
    return [*lines, "", *_delivery_table(view["deliveries"])] if view["deliveries"] else lines


def _delivery_table(several: "list[DeliveryView]") -> list[str]:
    rows = [
        (age(one["created_at"]), one["target"], one["attempts"], one["outcome"] or "waits", one["due_at"], one["id"])
        for one in several
    ]
    return table_lines(("message", "to", "attempts", "outcome", "next", "id"), rows)


def _words(state: str) -> str:
    return state.replace("_", " ")


def add_to(app: typer.Typer) -> None:
    app.command()(alarms)
