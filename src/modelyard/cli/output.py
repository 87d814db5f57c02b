"""What a command says: results on standard output, everything about the work on standard error."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

COLUMN_GAP = "   "


class Format(StrEnum):
    PRETTY = "pretty"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="pretty for people, json for programs.")]


def say(text: str = "") -> None:
    """A line of the result."""
    typer.echo(text)


def remark(text: str) -> None:
    """A line about the work, beside the result."""
    typer.echo(text, err=True)


def say_json(document: Any) -> None:
    """Values of JSON, and views wherever they are among them."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, default=_fields))


def say_told(view: Any, sentence: str) -> None:
    """A view, and beside its fields what was done."""
    say_json({**(_fields(view) if dataclasses.is_dataclass(view) else view), "sentence": sentence})


def _fields(view: Any) -> dict[str, Any]:
    """Raises TypeError for what is no dataclass, as `json` wants it."""
    return {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}


def say_error(message: str, hint: str | None) -> None:
    red = sys.stderr.isatty()
    typer.echo(f"{typer.style('error:', fg='red') if red else 'error:'} {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)


def say_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns without lines, as Cortex prints them: easy to read, easy to cut."""
    for line in table_lines(header, rows):
        typer.echo(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    texts = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    return [
        COLUMN_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    ]


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else first_line(str(value))


def first_line(text: str) -> str:
    """What a list shows of a reason that goes on with the lines of a log."""
    return text.partition("\n")[0]
