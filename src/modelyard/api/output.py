"""What a run printed, as text that can be followed."""

import asyncio
from collections.abc import AsyncIterator

from modelyard_worker.records import OUTPUT
from starlette.responses import StreamingResponse

from modelyard.api.yard import Yard
from modelyard.errors import NotFound
from modelyard.store import logs

LINES_DEFAULT = 100
LINES_MAX = 10_000


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
