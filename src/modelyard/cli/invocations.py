"""Queued invocations: what waits, what became of it, and dead letters sent again."""

from typing import Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.session import open_client
from modelyard.cli.times import age

_COLUMNS = ("id", "status", "attempt", "accepted", "size", "reason")
_REASON_SHOWN_MAX = 60

Endpoint = Annotated[str, typer.Argument(help="Endpoint.")]
Id = Annotated[str, typer.Argument(help="Id of the invocation.")]

group = typer.Typer(name="async", help="Queued invocations of an endpoint.", no_args_is_help=True)


@group.command("list")
def list_invocations(
    name: Endpoint,
    status: Annotated[str | None, typer.Option(help="Only of this status, such as failed.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000)] = 20,
    output: Output = Format.PRETTY,
) -> None:
    """List queued invocations and what became of them, newest first."""
    with open_client() as client:
        found = client.invocations(_resolved(client, name), status=status, limit=limit)
    if output is Format.JSON:
        say_json(found)
        return
    for line in table_lines(_COLUMNS, [_row(one) for one in found]):
        say(line)


def _row(one: dict[str, Any]) -> list[Any]:
    reason = (one["reason"] or "").splitlines()
    shown = reason[0][:_REASON_SHOWN_MAX] if reason else None
    return [one["id"], one["status"], one["attempt"], age(one["created_at"]), one["body_bytes"], shown]


@group.command("get")
def get_invocation(name: Endpoint, inference_id: Id, output: Output = Format.PRETTY) -> None:
    """Show one invocation, and its result where it is completed."""
    with open_client() as client:
        endpoint = _resolved(client, name)
        view = client.invocation(endpoint, inference_id)
        if output is Format.JSON:
            say_json(view)
            return
        for key in ("id", "status", "attempt", "created_at", "started_at", "ended_at", "reason"):
            if view[key] is not None:
                say(f"{key}: {view[key]}")
        if view["status"] == "completed":
            say(f"result: {client.invocation_result(endpoint, inference_id)}")


@group.command()
def cancel(name: Endpoint, inference_id: Id, output: Output = Format.PRETTY) -> None:
    """Cancel an invocation that waits or is under way."""
    with open_client() as client:
        view = client.cancel_invocation(_resolved(client, name), inference_id)
    if output is Format.JSON:
        say_json(view)
    else:
        say(f"{inference_id} is {'being cancelled' if view['cancel_requested'] else view['status']}")


@group.command()
def redrive(
    name: Endpoint,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of dead letters; without any, all of them.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Send dead letters again: invocations that failed or expired."""
    with open_client() as client:
        redriven = client.redrive_invocations(_resolved(client, name), ids or None)
    if output is Format.JSON:
        say_json({"redriven": redriven})
    else:
        say(f"{len(redriven)} sent again")


@group.command()
def secret(name: Endpoint) -> None:
    """Print what messages to the endpoint's webhooks are signed with."""
    with open_client() as client:
        say(client.webhook_secret(_resolved(client, name)))


def _resolved(client: Any, name: str) -> str:
    _kind, found = client.resolve(name, ("endpoint",))
    return found


def add_to(app: typer.Typer) -> None:
    app.add_typer(group)
