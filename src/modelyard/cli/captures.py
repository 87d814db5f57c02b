"""Captured requests: which days there are, the records themselves, and SageMaker's layout of them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, table_lines
from modelyard.cli.session import open_client
from modelyard.cli.times import size

app = typer.Typer(name="captures", help="Requests and answers that endpoints keep.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Endpoint.")]
Since = Annotated[str, typer.Option(help="How long ago (24h, 7d), or a time.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")]
Version = Annotated[int | None, typer.Option(min=1, help="One version alone.")]


@app.command("list")
def list_captures(name: Name, output: Output = Format.PRETTY) -> None:
    """Show which days of an endpoint's requests there are."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        view = client.captures(found)
    if output is Format.JSON:
        say_json(view)
        return
    rows = [(one["day"], one["version"], one["files"], size(one["size_bytes"])) for one in view["days"]]
    if view["capture"] is None:
        say(f"{view['name']} captures nothing; `capture` in the yard file makes it")
    for line in table_lines(("day", "version", "files", "size"), rows) if rows else ["nothing captured yet"]:
        say(line)


@app.command()
def show(name: Name, since: Since = "24h", limit: Limit = 10, version: Version = None) -> None:
    """Print captured requests as JSON lines, newest first."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        for record in client.captured(found, since=since, limit=limit, version=version):
            say(json.dumps(record, ensure_ascii=False))


@app.command()
def export(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    since: Since = "24h",
    limit: Limit = 100_000,
    version: Version = None,
    output: Output = Format.PRETTY,
) -> None:
    """Write captured requests as SageMaker's data capture lays them out: JSON lines, a folder for each hour."""
    from modelyard.sdk.captures import export_sagemaker  # noqa: PLC0415 (start-up time of the other commands)

    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        counts = export_sagemaker(client.captured(found, since=since, limit=limit, version=version), folder)
    if output is Format.JSON:
        say_json({"folder": str(folder), "files": counts})
        return
    say(f"{sum(counts.values())} requests in {len(counts)} files below {folder}")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)
