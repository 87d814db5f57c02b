"""What other clients need to find the yard: env."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json


def env(
    client: Annotated[
        str | None, typer.Argument(metavar="[mlflow|dvc|aws]", help="Client; nothing means Modelyard's own.")
    ] = None,
    remote: Annotated[
        str | None, typer.Option(help="Data remote for dvc; by default the name of the present folder.")
    ] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Print what points a client at this yard: eval "$(modelyard env)". It has the key, so mind where it goes."""
    from modelyard.sdk.address import find_address  # noqa: PLC0415 (start-up time of the other commands)
    from modelyard.sdk.environment import environment_lines  # noqa: PLC0415
    from modelyard.sdk.labels import project_of  # noqa: PLC0415

    lines = environment_lines(find_address(), client, remote or project_of(Path.cwd()))
    if output is Format.JSON:
        say_json({"lines": lines})
        return
    for line in lines:
        say(line)


def add_to(app: typer.Typer) -> None:
    app.command()(env)
