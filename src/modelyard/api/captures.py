"""Captures: what an endpoint keeps of its requests, and those requests."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from modelyard.api.moments import moment
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.store.captures import days
from modelyard.store.ports import JsonObject

RECORDS_MAX = 1_000_000
CHUNK_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class DayView:
    version: int
    day: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CapturesView:
    name: str
    capture: JsonObject | None
    """Fields of `domain.captures.Capture`; null where nothing is captured now."""
    days: list[DayView]
    """Newest first, in UTC."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "captures")

    @router.get("/endpoints/{name}/captures")
    def show_captures(name: str) -> CapturesView:
        """What is captured, and which days there are. What was captured shows within some seconds."""
        endpoint = yard.store.endpoints.get(name)
        capture = endpoint.governing.spec.capture
        found = days(yard.home.captures, endpoint.name)
        return CapturesView(
            name=endpoint.name,
            capture=asdict(capture) if capture is not None else None,
            days=[DayView(one.version, one.day, one.files, one.size_bytes) for one in found],
        )

    @router.get("/endpoints/{name}/captures/records", response_class=StreamingResponse)
    def read_captures(
        name: str,
        since: Annotated[str, Query(max_length=64)] = "24h",
        until: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=RECORDS_MAX)] = 1000,
        version: Annotated[int | None, Query(ge=0)] = None,
    ) -> StreamingResponse:
        """Captured requests as JSON Lines, newest first (`domain.captures` says what a record has)."""
        asked = Records(since, until, limit, version)
        found = captured_records(yard, yard.store.endpoints.get(name).name, asked)
        return StreamingResponse(found, media_type="application/x-ndjson")

    return router


@dataclass(frozen=True, slots=True)
class Records:
    """Which of an endpoint's captured requests are wanted."""

    since: str
    """A time, or how long ago: `24h`."""
    until: str | None
    limit: int
    version: int | None


def captured_records(yard: Yard, endpoint: str, asked: Records) -> AsyncIterator[bytes]:
    """JSON Lines, newest first, in pieces that end anywhere. Raises InvalidValue for a time that is none."""
    now = yard.clock.now()
    command = [sys.executable, "-m", "modelyard.processes.recorder", "--home", str(yard.home.root)]
    command += ["--read", endpoint, "--since", str(moment(asked.since, now)), "--limit", str(asked.limit)]
    command += ["--until", str(moment(asked.until, now))] if asked.until is not None else []
    command += ["--of-version", str(asked.version)] if asked.version is not None else []
    return _output(command)


async def _output(command: list[str]) -> AsyncIterator[bytes]:
    """What a process prints. It reads Parquet, which this one is not to hold in memory; it ends with its reader."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        while chunk := await process.stdout.read(CHUNK_BYTES):
            yield chunk
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
