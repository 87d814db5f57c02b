"""Care of the disk: gc."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, say_table
from modelyard.cli.session import open_client
from modelyard.cli.times import size

if TYPE_CHECKING:
    from modelyard.sdk.views import SurplusView

_GROUPED = "artifact"
"""Shown as one row: they are many, and their names say nothing to people."""


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Free what nothing needs any more; the yard does so by itself every hour."""
    with open_client() as client:
        found = client.collect(dry_run=dry_run)
    if output is Format.JSON:
        say_json(found)
        return
    rows = _rows(found["surplus"])
    if rows:
        say_table(("what", "name", "size", "why"), rows)
    verb = "would free" if dry_run else "freed"
    say(f"{verb} {size(found['size_bytes'])}" if rows else "nothing to free")


def _rows(surplus: "list[SurplusView]") -> list[tuple[str, str, str, str]]:
    rows = [
        (one["kind"], one["name"][:40], size(one["size_bytes"]), one["reason"])
        for one in surplus
        if one["kind"] != _GROUPED
    ]
    grouped = [one for one in surplus if one["kind"] == _GROUPED]
    if grouped:
        total = size(sum(one["size_bytes"] for one in grouped))
        rows.append(("artifacts", f"{len(grouped)} files", total, grouped[0]["reason"]))
    return rows


def add_to(app: typer.Typer) -> None:
    app.command()(gc)
