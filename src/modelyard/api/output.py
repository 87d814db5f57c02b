"""What a run printed, as text that can be followed."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from modelyard_worker.records import OUTPUT
from starlette.responses import StreamingResponse

from modelyard.api.yard import Yard
from modelyard.domain.transforms import job_of
from modelyard.errors import NotFound
from modelyard.store import logs

LINES_DEFAULT = 100
LINES_MAX = 10_000
ATTEMPTS_SHOWN_MAX = 3
"""Processes of a transform whose last lines are shown."""
LOOK_SECONDS = 0.2


def text_stream(parts: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(parts, media_type="text/plain; charset=utf-8")


async def run_output(yard: Yard, run: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines that a run printed; followed, until it has ended."""
    path = yard.home.engine / "jobs" / run / OUTPUT
    if not follow:
        yield (await asyncio.to_thread(logs.tail, path, lines)).encode()
        return

    def ended() -> bool:
        try:
            return yard.store.runs.get(run).ended
        except NotFound:
            return True

    async for part in logs.follow(path, lines=lines, ended=ended):
        yield part


async def transform_output(yard: Yard, transform: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines of each of its processes, in order; followed, until it has ended."""
    found = yard.store.transforms.get(transform)
    shown = max(0, found.attempt - ATTEMPTS_SHOWN_MAX)
    while True:
        while shown < found.attempt:
            shown += 1
            path = yard.home.engine / "jobs" / job_of(transform, shown) / OUTPUT
            if follow:
                async for part in logs.follow(path, lines=lines, ended=partial(_is_over, yard, transform, shown)):
                    yield part
            else:
                yield (await asyncio.to_thread(logs.tail, path, lines)).encode()
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
