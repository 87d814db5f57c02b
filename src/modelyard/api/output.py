"""What processes of the engine printed, as text that can be followed: a run's, and an endpoint's from its replicas."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from modelyard_worker.records import EXIT, ORDER, OUTPUT, read_json
from starlette.responses import StreamingResponse

from modelyard.api.yard import Yard
from modelyard.domain.names import name_key
from modelyard.errors import NotFound
from modelyard.store import logs

LINES_DEFAULT = 100
LINES_MAX = 10_000

LOOK_SECONDS = 1.0
"""How often a follower looks for new replicas."""

QUEUE_MAX = 64
"""Lines that wait for a slow reader; then the replicas' files are read no further."""

LINE_BYTES_MAX = 64 * 2**10
"""A longer line is handed on in pieces."""


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


async def endpoint_output(yard: Yard, endpoint: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines that each replica printed, with its id before each line where there are several; followed, with
    replicas that come later too, until the endpoint is gone."""
    folders = await asyncio.to_thread(replica_folders, yard, endpoint)
    if follow:
        followed = _Followed(yard, endpoint, lines)
        async for line in followed.lines(folders):
            yield line
        return
    for name, folder in folders.items():
        text = await asyncio.to_thread(logs.tail, folder / OUTPUT, lines)
        for line in text.splitlines(keepends=True):
            ended_line = line if line.endswith("\n") else f"{line}\n"
            yield (f"{name} {ended_line}" if len(folders) > 1 else ended_line).encode()


class _Followed:
    """The output of an endpoint's replicas, each file followed by a task, their lines put into one queue."""

    def __init__(self, yard: Yard, endpoint: str, lines: int) -> None:
        self._yard = yard
        self._endpoint = endpoint
        self._lines = lines
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(QUEUE_MAX)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def lines(self, folders: dict[str, Path]) -> AsyncIterator[bytes]:
        try:
            self._start(folders, self._lines)
            while not self._over():
                try:
                    name, line = await asyncio.wait_for(self._queue.get(), LOOK_SECONDS)
                except TimeoutError:
                    # What a replica printed before it was found is wanted whole.
                    self._start(await asyncio.to_thread(replica_folders, self._yard, self._endpoint), LINES_MAX)
                    continue
                yield b"%b %b" % (name.encode(), line) if len(self._tasks) > 1 else line
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, folders: dict[str, Path], lines: int) -> None:
        for name, folder in folders.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._read(name, folder, lines))

    def _over(self) -> bool:
        if not self._queue.empty() or not all(task.done() for task in self._tasks.values()):
            return False
        try:
            self._yard.store.endpoints.get(self._endpoint)
        except NotFound:
            return True
        return False

    async def _read(self, name: str, folder: Path, lines: int) -> None:
        def ended() -> bool:
            return (folder / EXIT).exists() or not folder.exists()

        rest = b""
        async for part in logs.follow(folder / OUTPUT, lines=lines, ended=ended):
            *complete, rest = (rest + part).split(b"\n")
            for line in complete:
                await self._queue.put((name, line + b"\n"))
            if len(rest) > LINE_BYTES_MAX:
                await self._queue.put((name, rest + b"\n"))
                rest = b""
        if rest:
            await self._queue.put((name, rest + b"\n"))


def replica_folders(yard: Yard, endpoint: str) -> dict[str, Path]:
    """Folders of an endpoint's replicas by id, oldest first: those that its status names or whose order names it."""
    root = yard.home.engine / "replicas"
    status = yard.store.endpoints.status(endpoint)
    named = {one.id for one in status.replicas} if status is not None else set[str]()
    found = [folder for folder in root.glob("*") if folder.name in named or _is_of(folder, endpoint)]
    return {folder.name: folder for folder in sorted(found, key=_made_at)}


def _is_of(folder: Path, endpoint: str) -> bool:
    order = read_json(str(folder / ORDER))
    return order is not None and name_key(str(order.get("endpoint"))) == name_key(endpoint)


def _made_at(folder: Path) -> float:
    try:
        return (folder / ORDER).stat().st_mtime
    except OSError:
        return 0.0
