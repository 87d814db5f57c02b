"""Secrets: secret set, secret list, secret delete."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from modelyard.cli.output import Format, Output, remark, say, say_json, say_table
from modelyard.cli.session import open_client
from modelyard.cli.times import age
from modelyard.errors import InvalidValue

STDIN_BYTES_MAX = 1 * 2**20
"""More than any secret may have; the yard says its own limit."""

secret = typer.Typer(name="secret", help="Values that code needs and nobody else may read.", no_args_is_help=True)


@secret.command(name="set")
def set_secret(
    name: Annotated[str, typer.Argument(help="Name of the secret.")],
    value: Annotated[
        str | None, typer.Argument(metavar="[VALUE|-]", help="- reads standard input; nothing asks for it.")
    ] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Set a secret: asked for without showing it, or read from standard input."""
    text = _value(name, value)
    with open_client() as client:
        view = client.set_secret(name, text)
    if output is Format.JSON:
        say_json(asdict(view))
        return
    say(f"set secret {view.name} (revision {view.revision})")
    if view.used_by:
        say(f"used by {', '.join(view.used_by)}: what runs keeps the value that it was started with")


def _value(name: str, value: str | None) -> str:
    if value == "-":
        text = sys.stdin.read(STDIN_BYTES_MAX)
        # `echo` and editors end what they write with a line feed that is not meant.
        return text.removesuffix("\n")
    if value is not None:
        remark("note: a value on the command line stays in the shell's history; leave it out to be asked for it")
        return value
    if not sys.stdin.isatty():
        raise InvalidValue(
            f"cannot ask for the value of {name}: there is no terminal", "write - to read standard input"
        )
    return str(typer.prompt(f"Value of {name}", hide_input=True, err=True))


@secret.command(name="list")
def list_secrets(output: Output = Format.PRETTY) -> None:
    """List secrets: names, when each was set, what refers to it. Values are never shown."""
    with open_client() as client:
        found = client.secrets()
    if output is Format.JSON:
        say_json({"secrets": [asdict(one) for one in found]})
    elif not found:
        say("no secrets yet; `modelyard secret set NAME` sets one")
    else:
        rows = [(one.name, one.revision, age(one.updated_at), ", ".join(one.used_by)) for one in found]
        say_table(("secret", "revision", "set", "used by"), rows)


@secret.command(name="delete")
def delete_secret(
    name: Annotated[str, typer.Argument(help="Name of the secret.")], output: Output = Format.PRETTY
) -> None:
    """Delete a secret that nothing refers to."""
    with open_client() as client:
        client.delete_secret(name)
    sentence = f"deleted secret {name}"
    say_json({"name": name, "sentence": sentence}) if output is Format.JSON else say(sentence)


def add_to(app: typer.Typer) -> None:
    app.add_typer(secret)
