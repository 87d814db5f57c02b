"""Long lists, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from modelyard.console.visits import Visit

ROWS = 100
"""Of one page."""

_RowT = TypeVar("_RowT")


@dataclass(frozen=True, slots=True)
class Paging:
    total: int
    first: int
    """From 1; 0 of nothing."""
    last: int
    earlier: str | None
    """Query of the page before; None where there is none."""
    later: str | None


def one_page(rows: Sequence[_RowT], visit: Visit, size: int = ROWS) -> tuple[Sequence[_RowT], Paging]:
    """The rows of the page that is asked for as `page`, from 1. One beyond the end is the last."""
    asked = visit.asked("page", "1")
    wanted = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 1
    last = max(1, -(-len(rows) // size))
    page = min(max(wanted, 1), last)
    begin = (page - 1) * size
    shown = rows[begin : begin + size]

    def query(number: int) -> str:
        kept = [(name, value) for name, values in visit.query.items() if name != "page" for value in values if value]
        return urlencode([*kept, ("page", str(number))])

    return shown, Paging(
        total=len(rows),
        first=begin + 1 if shown else 0,
        last=begin + len(shown),
        earlier=query(page - 1) if page > 1 else None,
        later=query(page + 1) if page < last else None,
    )
