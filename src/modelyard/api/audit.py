"""The audit log: every change through the interface, and every refusal for want of a right to it."""

import asyncio
import contextlib
import csv
import io
import json
import logging
from collections.abc import Generator, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse
from starlette.types import Scope

from modelyard.api.moments import moment
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Principal
from modelyard.domain.audit import TEXT_LENGTH_MAX, Audited
from modelyard.errors import ModelyardError
from modelyard.protocol.browsers import SAFE_METHODS
from modelyard.protocol.routes import API
from modelyard.protocol.views_of_access import AuditedView, AuditView

PAGE_MAX = 10_000
EXPORTED_AT_ONCE = 1000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NOBODY = "nobody"
NOBODYS_PER_MINUTE_MAX = 60
"""Refusals of unknown clients that are noted in a minute, so that nobody can wash the log out from outside."""

_QUIET = tuple(f"{API}{path}" for path in ("/artifacts", "/trees", "/data/", "/sessions", "/login"))
"""Changes that change nothing yet, or that say what they were by themselves."""

_ABOUT: ContextVar[list[str] | None] = ContextVar("about", default=None)
"""What is told of a change as long as a request lasts."""

_log = logging.getLogger("modelyard.control")


def about(*words: str) -> None:
    """Tells what a change is about where its path does not say so: names and roles, never what else a body has."""
    told = _ABOUT.get()
    if told is not None:
        told += words


@contextlib.contextmanager
def listening() -> Generator[list[str]]:
    """What is told while it lasts. The list is the same in threads that work for the request."""
    told = list[str]()
    before = _ABOUT.set(told)
    try:
        yield told
    finally:
        _ABOUT.reset(before)


class Auditor:
    """Hears of every request and notes those that matter."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._minute = 0
        self._nobodys = 0

    async def note(
        self,
        scope: Scope,
        principal: Principal | None,
        status: int,
        address: str,
        request_id: str,
        told: Sequence[str] = (),
    ) -> None:
        method, path = str(scope["method"]), str(scope["path"])
        changed = method not in SAFE_METHODS and path.startswith(API) and not path.startswith(_QUIET)
        refused = status in (401, 403) and path.startswith("/api")
        if not (changed or refused) or (principal is None and not self._may_note_nobody()):
            return
        entry = Audited(
            self._yard.clock.now(),
            str(principal) if principal is not None else NOBODY,
            f"{method} {path.removeprefix(API)}{': ' if told else ''}{', '.join(told)}"[:TEXT_LENGTH_MAX],
            str(status),
            address,
            request_id,
        )
        await asyncio.to_thread(note, self._yard, entry)

    def _may_note_nobody(self) -> bool:
        minute = int(self._yard.clock.now() // 60)
        if minute != self._minute:
            self._minute, self._nobodys = minute, 0
        self._nobodys += 1
        return self._nobodys <= NOBODYS_PER_MINUTE_MAX


def note(yard: Yard, entry: Audited) -> None:
    """A log that cannot be written stops nobody's work; that is said where the yard's own log is."""
    try:
        yard.store.audit.add(entry)
    except ModelyardError as error:
        _log.error("cannot write to the audit log: %s", error.message)


class ExportForm(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "audit")

    @router.get("/audit")
    def list_audit(
        text: str | None = None,
        since: str | None = None,
        before: int | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> AuditView:
        """Newest first: those that have `text` in any field, since a time (`2h`, or RFC 3339), and with a number below
        `before`, which gives the next page."""
        begin = moment(since, yard.clock.now()) if since else 0.0
        return AuditView([_view(one) for one in yard.store.audit.select(text, begin, before, limit)])

    @router.get("/audit/export", response_class=StreamingResponse)
    def export_audit(
        form: Annotated[ExportForm, Query(alias="format")] = ExportForm.JSONL,
        text: str | None = None,
        since: str | None = None,
    ) -> StreamingResponse:
        """All of them, newest first: a JSON object a line, or CSV with a heading, as spreadsheets read it."""
        begin = moment(since, yard.clock.now()) if since else 0.0
        entries = _all_entries(yard, text, begin)
        if form is ExportForm.CSV:
            return StreamingResponse(_csv(entries), media_type="text/csv; charset=utf-8")
        lines = (json.dumps(asdict(_view(one))) + "\n" for one in entries)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    return router


def _all_entries(yard: Yard, text: str | None, begin: float) -> Iterator[Audited]:
    before: int | None = None
    while page := yard.store.audit.select(text, begin, before, EXPORTED_AT_ONCE):
        yield from page
        before = page[-1].number


def _csv(entries: Iterator[Audited]) -> Iterator[str]:
    yield _row([one.name for one in fields(AuditedView)])
    for one in entries:
        yield _row([str(value) for value in asdict(_view(one)).values()])


def _row(cells: list[str]) -> str:
    written = io.StringIO()
    # What a stranger wrote into a path must be no formula to the spreadsheet that opens it.
    csv.writer(written).writerow([f"'{one}" if one.startswith(FORMULA_STARTS) else one for one in cells])
    return written.getvalue()


def _view(entry: Audited) -> AuditedView:
    return AuditedView(
        entry.number, iso(entry.at), entry.principal, entry.action, entry.outcome, entry.address, entry.request_id
    )
