"""Rollouts: promote, pause, resume a version that is on its way in steps. `rollback` calls it back."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.endpoints import Wait, tell_outcome
from modelyard.cli.models import give_alias
from modelyard.cli.output import Format, Output, say, say_json
from modelyard.cli.session import open_client
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.sdk.views import OutcomeView

Name = Annotated[str, typer.Argument(help="Endpoint.")]


def promote(
    name: Annotated[str, typer.Argument(metavar="NAME | MODEL[:VERSION|@ALIAS]", help="Endpoint, or model.")],
    alias: Annotated[
        str | None, typer.Argument(help="Of a model, such as champion; another version that has it loses it.")
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Of an endpoint: only to the next step.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Of a model: take the alias away instead.")] = False,
    wait: Wait = True,
    output: Output = Format.PRETTY,
) -> None:
    """Put an endpoint's new version in whole; or, with an alias, have MODEL@ALIAS mean a version of a model."""
    if alias is not None:
        if step:
            raise InvalidValue("cannot promote a model by a step", "leave --step out, or the alias")
        give_alias(name, alias, remove=remove, output=output)
        return
    if remove or ":" in name or "@" in name:
        raise InvalidValue(f"cannot promote {name} without an alias", f"say `modelyard promote {name} ALIAS`")
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        # The next step may stand for hours; the last is over when it serves.
        tell_outcome(client, client.promote_endpoint(found, step=step), wait and not step, output)


def pause(name: Name, output: Output = Format.PRETTY) -> None:
    """Hold an endpoint's new version at the step that it is at."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        _tell(client.pause(found), output)


def resume(name: Name, output: Output = Format.PRETTY) -> None:
    """Let an endpoint's new version go on with its steps."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        _tell(client.resume(found), output)


def _tell(outcome: "OutcomeView", output: Format) -> None:
    say_json({"outcome": outcome}) if output is Format.JSON else say(outcome["sentence"])


def add_to(app: typer.Typer) -> None:
    for command in (promote, pause, resume):
        app.command()(command)
