"""What an endpoint's replicas printed: the last lines that somebody wants to see, and then whatever comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard_worker.records import EXIT, ORDER, OUTPUT, read_json

from modelyard.api.output import LINES_DEFAULT, LINES_MAX
from modelyard.api.yard import Yard
from modelyard.domain.names import name_key, not_found
from modelyard.errors import NotFound
from modelyard.packaging.environments import FOLDER as ENVIRONMENTS
from modelyard.store import logs
from modelyard.store.log_lines import LineReader, LogLine, Wanted, merged

SEARCHED_BYTES_MAX = 8 * 2**20
"""How far from the end of each replica's output lines are looked for that are not just the last ones."""

LOOK_SECONDS = 0.5
"""How often a follower looks for new replicas, and whether the endpoint is gone."""

QUEUE_MAX = 64
"""Lines that wait for a slow reader; then the replicas' files are read no further."""

LINE_BYTES_MAX = 64 * 2**10
"""A longer line is handed on in pieces."""


@dataclass(frozen=True, slots=True)
class LogQuestion:
    lines: int = LINES_DEFAULT
    replica: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    as_json: bool = False
    """JSON Lines instead of text."""


async def replica_output(yard: Yard, endpoint: str, question: LogQuestion) -> AsyncIterator[bytes]:
    """The last lines of all replicas together, by their times, with the replica before each where there are several.

    Raises NotFound for a replica that the endpoint does not have.
    """
    folders = await asyncio.to_thread(replica_folders, yard, endpoint, question.replica)
    found = await asyncio.to_thread(_last_lines, folders, question)
    for line in found:
        yield _written(line, question, named=len(folders) > 1)


def _last_lines(folders: dict[str, Path], question: LogQuestion) -> list[LogLine]:
    found: list[LogLine] = []
    for name, folder in folders.items():
        reader = LineReader(name)
        if question.wanted.everything:
            text = logs.tail(folder / OUTPUT, question.lines)
        else:
            text = logs.tail(folder / OUTPUT, SEARCHED_BYTES_MAX, SEARCHED_BYTES_MAX)
        lines = [reader.read(line) for line in text.splitlines()]
        found += [line for line in lines if question.wanted.has(line)]
    return merged(found)[-question.lines :] if question.lines else []


def _written(line: LogLine, question: LogQuestion, *, named: bool) -> bytes:
    if question.as_json:
        document = {key: value for key, value in asdict(line).items() if key != "stamped"}
        return json.dumps(document).encode() + b"\n"
    return f"{line.replica} {line.printed}\n".encode() if named else f"{line.printed}\n".encode()


class Followed:
    """The output of an endpoint's replicas, each file followed by a task, their lines put into one queue."""

    def __init__(self, yard: Yard, endpoint: str, question: LogQuestion) -> None:
        self._yard = yard
        self._endpoint = endpoint
        self._question = question
        self._queue: asyncio.Queue[LogLine | None] = asyncio.Queue(QUEUE_MAX)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def lines(self) -> AsyncIterator[bytes]:
        """The last lines, and then what comes, of replicas that come later too, until the endpoint is gone."""
        question = self._question
        folders = await asyncio.to_thread(replica_folders, self._yard, self._endpoint, question.replica)
        self._start(folders, question.lines if question.wanted.everything else LINES_MAX)
        watching = asyncio.create_task(self._watch())
        try:
            while (line := await self._queue.get()) is not None:
                if question.wanted.has(line):
                    yield _written(line, question, named=len(self._tasks) > 1)
        finally:
            tasks = [watching, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Finds new replicas; ends when the endpoint is gone and the last word of each is read."""
        while not (await asyncio.to_thread(self._gone) and all(task.done() for task in self._tasks.values())):
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = await asyncio.to_thread(replica_folders, self._yard, self._endpoint, self._question.replica)
            except NotFound:
                continue
            # What a replica printed before it was found is wanted whole.
            self._start(found, LINES_MAX)
        await self._queue.put(None)

    def _start(self, folders: dict[str, Path], lines: int) -> None:
        for name, folder in folders.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._read(name, folder, lines))

    def _gone(self) -> bool:
        try:
            self._yard.store.endpoints.get(self._endpoint)
        except NotFound:
            return True
        return False

    async def _read(self, name: str, folder: Path, lines: int) -> None:
        def ended() -> bool:
            return (folder / EXIT).exists() or not folder.exists()

        reader = LineReader(name)
        rest = b""
        async for part in logs.follow(folder / OUTPUT, lines=lines, ended=ended):
            *complete, rest = (rest + part).split(b"\n")
            if len(rest) > LINE_BYTES_MAX:
                complete, rest = [*complete, rest], b""
            for line in complete:
                await self._queue.put(reader.read(line.decode(errors="replace")))
        if rest:
            await self._queue.put(reader.read(rest.decode(errors="replace")))


def replica_folders(yard: Yard, endpoint: str, replica: str | None = None) -> dict[str, Path]:
    """Folders of an endpoint's replicas by id, oldest first: those that its status names or whose order names it.

    With `replica` that one alone. Raises NotFound, with the nearest as hint, where there is none of that id.
    """
    roots = (yard.home.engine / "replicas", yard.home.root / ENVIRONMENTS / "builds")
    status = yard.store.endpoints.status(endpoint)
    named = {one.id for one in status.replicas} if status is not None else set[str]()
    there = [folder for root in roots for folder in root.glob("*")]
    found = [folder for folder in there if folder.name in named or _is_of(folder, endpoint)]
    folders = {folder.name: folder for folder in sorted(found, key=_made_at)}
    if replica is None:
        return folders
    if replica not in folders:
        raise not_found(f"a replica of {endpoint} called", replica, folders)
    return {replica: folders[replica]}


def _is_of(folder: Path, endpoint: str) -> bool:
    order = read_json(str(folder / ORDER))
    return order is not None and name_key(str(order.get("endpoint"))) == name_key(endpoint)


def _made_at(folder: Path) -> float:
    try:
        return (folder / ORDER).stat().st_mtime
    except OSError:
        return 0.0
