"""Group commit: what several callers want written at the same time is written in one transaction.

A commit costs a sync of the disk, whatever it holds. While one is under way the next gathers, without any timer: one
caller alone waits for one sync, a thousand at once share it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from modelyard.errors import QueueFull

GATHERED_MAX = 512
"""In one transaction."""

WAITING_MAX = 8192
"""Beyond it a caller is refused at once."""

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """`write` takes what was gathered and returns a result for each; it runs in a thread, one call at a time."""

    def __init__(self, write: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._write = write
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Its result, once it is on disk. Raises what `write` raised, and QueueFull."""
        if len(self._waiting) >= WAITING_MAX:
            raise QueueFull(f"cannot write: {WAITING_MAX} wait for the disk", "try again later")
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                gathered, self._waiting = self._waiting[:GATHERED_MAX], self._waiting[GATHERED_MAX:]
                await self._write_some(gathered)
        finally:
            self._writer = None

    async def _write_some(self, gathered: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await asyncio.to_thread(self._write, [item for item, _ in gathered])
        except Exception as error:  # noqa: BLE001 (each caller gets what went wrong)
            for _, done in gathered:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), result in zip(gathered, results, strict=True):
            if not done.done():
                done.set_result(result)
