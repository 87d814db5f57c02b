"""Work that is done again and again beside the loop."""

import asyncio
from collections.abc import Callable


class Periodic:
    """Work for a thread, begun again a while after it was begun last, never twice at once."""

    def __init__(self, first_at: float, every_seconds: float, work: Callable[[], None]) -> None:
        self._due_at = first_at
        self._every_seconds = every_seconds
        self._work = work
        self._under_way: asyncio.Task[None] | None = None

    def __call__(self, now: float) -> None:
        if now >= self._due_at and (self._under_way is None or self._under_way.done()):
            self._due_at = now + self._every_seconds
            self._under_way = asyncio.get_running_loop().create_task(asyncio.to_thread(self._work))

    async def close(self) -> None:
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)
