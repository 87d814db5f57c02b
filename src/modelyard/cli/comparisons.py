"""`compare`: runs with runs, versions of models with each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.models import compare_versions
from modelyard.cli.output import Format, Output
from modelyard.cli.runs import compare_runs
from modelyard.cli.session import open_client
from modelyard.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from modelyard.sdk.client import Client


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME NAME ...", help="Runs, or two of MODEL, MODEL:VERSION and MODEL@ALIAS."),
    ],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same in all runs.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Compare runs, or two versions of models: hyperparameters, metrics, and what they read."""
    if len(names) < 2:
        raise InvalidValue(f"cannot compare {names[0]} with nothing", "name two or more")
    with open_client() as client:
        runs = _runs_among(client, names)
        if len(runs) == len(names):
            compare_runs(client, runs, output, everything=everything)
        elif runs:
            other = next(one for one in names if one.removeprefix("run/") not in runs)
            raise InvalidValue(f"cannot compare run {runs[0]} with {other}: that is no run", "name runs alone")
        else:
            compare_versions(client, [one.removeprefix("model/") for one in names], output)


def _runs_among(client: "Client", names: Sequence[str]) -> list[str]:
    """Those that are runs; a model's version says so by its colon or its alias."""
    found: list[str] = []
    for name in names:
        if name.startswith("model/") or ":" in name or "@" in name:
            continue
        try:
            found.append(client.run(name.removeprefix("run/"))["id"])
        except NotFound:
            continue
    return found


def add_to(app: typer.Typer) -> None:
    app.command()(compare)
