import asyncio
from contextlib import aclosing

import pytest

from modelyard.store.logs import CHUNK_BYTES, follow, tail

POLL_SECONDS = 0.001
LIMIT_SECONDS = 20.0


class Reader:
    """Follows a file and gathers what comes; a test waits for text instead of for time."""

    def __init__(self, path, lines=10):
        self.ended = False
        self.chunks = []
        self._came = asyncio.Condition()
        self.done = asyncio.create_task(self._read(path, lines))

    async def _read(self, path, lines):
        reading = follow(path, lines=lines, ended=lambda: self.ended, poll_seconds=POLL_SECONDS)
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                self.chunks.append(chunk)
                async with self._came:
                    self._came.notify_all()

    @property
    def text(self):
        return b"".join(self.chunks).decode()

    async def until(self, text):
        async with asyncio.timeout(LIMIT_SECONDS), self._came:
            await self._came.wait_for(lambda: self.text == text)

    async def end(self):
        self.ended = True
        async with asyncio.timeout(LIMIT_SECONDS):
            await self.done
        return self.text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "output.log"


def append(path, text):
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("content", "lines", "expected"),
    [
        ("", 3, ""),
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\nc\n", 3, "a\nb\nc\n"),
        ("a\nb\nc\n", 99, "a\nb\nc\n"),
        ("a\nb\n", 0, ""),
        ("\n\n\n", 2, "\n\n"),
        ("no end", 1, "no end"),
    ],
)
def test_the_tail_is_the_last_lines(path, content, lines, expected):
    path.write_text(content)
    assert tail(path, lines) == expected


def test_the_tail_of_a_file_that_is_not_there_is_empty(path):
    assert tail(path, 10) == ""


def test_the_tail_is_found_across_blocks(path):
    lines = [f"{number} " + "x" * 1000 + "\n" for number in range(300)]
    path.write_text("".join(lines))
    assert tail(path, 150, bytes_max=2**20) == "".join(lines[-150:])
    path.write_text("a\n" + "x" * (CHUNK_BYTES - 1) + "\n")
    assert tail(path, 1) == "x" * (CHUNK_BYTES - 1) + "\n"


def test_the_tail_is_bounded_in_bytes_and_never_begins_inside_a_character(path):
    path.write_text("\u20ac" * 1000)
    assert tail(path, 5, bytes_max=100) == "\u20ac" * 33


def test_bytes_that_are_no_text_are_replaced(path):
    path.write_bytes(b"ok\nbad \xff\xfe end\n")
    assert tail(path, 1) == "bad \ufffd\ufffd end\n"


def test_following_gives_the_tail_then_what_is_added_until_the_end(path):
    async def story():
        path.write_text("one\ntwo\nthree\n")
        reader = Reader(path, lines=2)
        await reader.until("two\nthree\n")
        append(path, "four\n")
        await reader.until("two\nthree\nfour\n")
        append(path, "last words")
        return await reader.end()

    assert asyncio.run(story()) == "two\nthree\nfour\nlast words"


def test_following_waits_for_a_file_that_is_not_there_yet(path):
    async def story():
        reader = Reader(path)
        await asyncio.sleep(POLL_SECONDS)
        append(path, "born\n")
        await reader.until("born\n")
        return await reader.end()

    assert asyncio.run(story()) == "born\n"


def test_following_ends_where_the_file_never_came(path):
    async def story():
        return await Reader(path).end()

    assert asyncio.run(story()) == ""


def test_following_an_ended_process_gives_what_is_there_and_ends(path):
    async def story():
        append(path, "all\n")
        reader = Reader(path)
        return await reader.end()

    assert asyncio.run(story()) == "all\n"


def test_following_survives_truncation(path):
    async def story():
        append(path, "a long first part\n")
        reader = Reader(path)
        await reader.until("a long first part\n")
        path.write_text("new\n")
        await reader.until("a long first part\nnew\n")
        return await reader.end()

    assert asyncio.run(story()) == "a long first part\nnew\n"


def test_following_goes_on_with_the_file_that_replaced_it(path):
    async def story():
        append(path, "old\n")
        reader = Reader(path)
        await reader.until("old\n")
        append(path, "last of old\n")
        path.rename(path.with_suffix(".1"))
        append(path, "new, and longer than the old one was before\n")
        return await reader.end()

    assert asyncio.run(story()) == "old\nlast of old\nnew, and longer than the old one was before\n"


def test_chunks_are_bounded(path):
    async def story():
        path.write_text("x" * (CHUNK_BYTES * 3 + 1))
        reader = Reader(path)
        text = await reader.end()
        return text, max(len(chunk) for chunk in reader.chunks)

    text, largest = asyncio.run(story())
    assert len(text) == CHUNK_BYTES * 3 + 1
    assert largest <= CHUNK_BYTES
