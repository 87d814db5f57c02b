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
    offset: int
    """Rows before this page."""
    first: int
    """From 1; 0 of nothing."""
    last: int
    earlier: str | None
    """Query of the page before; None where there is none."""
    later: str | None


def one_page(rows: Sequence[_RowT], visit: Visit, size: int = ROWS) -> tuple[Sequence[_RowT], Paging]:
    """The rows of the page that is asked for as `page`, from 1. One beyond the end is the last."""
    paging = paging_of(len(rows), visit, size)
    return rows[paging.offset : paging.last], paging


def offset_asked(visit: Visit, size: int = ROWS) -> int:
    """How many rows lie before the page that is asked for, were there so many."""
    asked = visit.asked("page", "1")
    wanted = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 1
    return (max(wanted, 1) - 1) * size


def paging_of(total: int, visit: Visit, size: int = ROWS) -> Paging:
    """Of a list of which only one page is read."""
    last = max(1, -(-total // size))
    page = min(offset_asked(visit, size) // size + 1, last)
    offset = (page - 1) * size
    end = min(offset + size, total)

    def query(number: int) -> str:
        kept = [(name, value) for name, values in visit.query.items() if name != "page" for value in values if value]
        return urlencode([*kept, ("page", str(number))])

    return Paging(
        total=total,
        offset=offset,
        first=offset + 1 if total else 0,
        last=end,
        earlier=query(page - 1) if page > 1 else None,
        later=query(page + 1) if page < last else None,
    )
