"""What a run printed, as text that can be followed; before it, what uv said while its environment was built."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from modelyard_worker.records import OUTPUT
from starlette.responses import StreamingResponse

from modelyard.api.yard import Yard
from modelyard.domain.transforms import job_of
from modelyard.errors import NotFound
from modelyard.packaging.environments import FOLDER as ENVIRONMENTS
from modelyard.protocol.routes import ENDLESS
from modelyard.store import logs

LINES_DEFAULT = 100
LINES_MAX = 10_000
ATTEMPTS_SHOWN_MAX = 3
"""Processes of a transform whose last lines are shown."""
LOOK_SECONDS = 0.2


def text_stream(parts: AsyncIterator[bytes], *, follow: bool) -> StreamingResponse:
    headers = {ENDLESS: "1"} if follow else None
    return StreamingResponse(parts, headers=headers, media_type="text/plain; charset=utf-8")


async def run_output(yard: Yard, run: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines that a run printed; followed, until it has ended."""

    def ended() -> bool:
        try:
            return yard.store.runs.get(run).ended
        except NotFound:
            return True

    async for part in _job_output(yard, run, lines, ended if follow else None):
        yield part


async def _job_output(yard: Yard, job: str, lines: int, ended: Callable[[], bool] | None) -> AsyncIterator[bytes]:
    """The last lines of a job's process, and of the build of its environment before it; where there is an `ended`, then
    what comes, until it is true."""
    built = yard.home.root / ENVIRONMENTS / "builds" / f"{job}-environment" / OUTPUT
    path = yard.home.engine / "jobs" / job / OUTPUT
    printed = await asyncio.to_thread(logs.tail, path, lines)
    if ended is None or path.exists():
        missing = lines - len(printed.splitlines())
        if missing > 0:
            yield (await asyncio.to_thread(logs.tail, built, missing)).encode()
    else:
        async for part in logs.follow(built, lines=lines, ended=partial(_is_past, path, ended)):
            yield part
    if ended is None:
        yield printed.encode()
        return
    async for part in logs.follow(path, lines=lines, ended=ended):
        yield part


def _is_past(output: Path, ended: Callable[[], bool]) -> bool:
    return output.exists() or ended()


async def transform_output(yard: Yard, transform: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines of each of its processes, in order; followed, until it has ended."""
    found = yard.store.transforms.get(transform)
    shown = max(0, found.attempt - ATTEMPTS_SHOWN_MAX)
    while True:
        while shown < found.attempt:
            shown += 1
            over = partial(_is_over, yard, transform, shown) if follow else None
            async for part in _job_output(yard, job_of(transform, shown), lines, over):
                yield part
        if not follow or found.ended:
            return
        await asyncio.sleep(LOOK_SECONDS)
        found = yard.store.transforms.get(transform)


def _is_over(yard: Yard, transform: str, attempt: int) -> bool:
    """Whether its process of that number is not the present one any more."""
    try:
        found = yard.store.transforms.get(transform)
    except NotFound:
        return True
    return found.ended or found.attempt > attempt
