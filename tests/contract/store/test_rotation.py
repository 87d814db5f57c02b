import asyncio
import os

import pytest

from modelyard.store import rotation
from modelyard.store.logs import follow, tail
from modelyard.store.rotation import data_start, earlier_part, rotate

BYTES_MAX = 1000


class Log:
    """A log as its process has it: open for appending."""

    def __init__(self, path):
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.written = 0

    def print(self, count):
        for _ in range(count):
            os.write(self._file, b"line %06d\n" % self.written)
            self.written += 1

    def close(self):
        os.close(self._file)


def lines(count, first=0):
    return [f"line {number:06d}" for number in range(first, first + count)]


def test_a_log_within_its_bound_and_one_that_is_not_there_are_left_alone(tmp_path):
    (tmp_path / "output.log").write_text("short\n")
    assert not rotate(tmp_path / "output.log", BYTES_MAX)
    assert not rotate(tmp_path / "other.log", BYTES_MAX)
    assert [one.name for one in tmp_path.iterdir()] == ["output.log"]


def test_a_log_over_its_bound_keeps_one_earlier_part_and_its_writer_goes_on(tmp_path):
    log = Log(tmp_path / "output.log")
    for _ in range(3):
        log.print(200)
        assert rotate(log.path, BYTES_MAX)
    log.print(2)
    log.close()
    assert log.path.read_text().splitlines() == lines(2, 600)
    assert earlier_part(log.path).read_text().splitlines() == lines(200, 400)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["output.log", "output.log.1"]


@pytest.mark.parametrize("times", [1, 5])
def test_a_writer_as_fast_as_the_copying_leaves_no_more_than_a_few_times_the_bound(tmp_path, monkeypatch, times):
    bound = 16 * rotation.BLOCK_BYTES
    log = Log(tmp_path / "output.log")
    each = bound // len("line 000000\n")
    copy_rest = rotation._copy_rest

    def overtaken(*files):
        copied = copy_rest(*files)
        log.print(times * each)
        return copied

    monkeypatch.setattr(rotation, "_copy_rest", overtaken)
    log.print(each * 5)
    assert rotate(log.path, bound)
    log.close()
    part = earlier_part(log.path).stat()
    assert part.st_blocks * 512 <= 3 * bound < part.st_size
    assert tail(log.path, 1).splitlines() == lines(1, log.written - times * each - 1)


def test_the_last_lines_are_read_across_both_parts(tmp_path):
    log = Log(tmp_path / "output.log")
    log.print(200)
    rotate(log.path, BYTES_MAX)
    log.print(3)
    log.close()
    assert tail(log.path, 5).splitlines() == lines(5, 198)
    assert tail(log.path, 2).splitlines() == lines(2, 201)
    assert len(tail(log.path, 1000).splitlines()) == 203


async def _follow_while(log, asked, steps):
    """What a follower gets that starts with `asked` lines, while `steps` are done one after the other, each when it has
    got all that was there before."""
    got = bytearray()
    ended = False

    async def read():
        async for part in follow(log.path, lines=asked, ended=lambda: ended, poll_seconds=0.001):
            got.extend(part)

    async with asyncio.timeout(30):
        reading = asyncio.create_task(read())
        for step in steps:
            while not got.endswith(b"line %06d\n" % (log.written - 1)):
                await asyncio.sleep(0.001)
            step()
        ended = True
        await reading
    return bytes(got).decode().splitlines()


def test_a_follower_loses_and_doubles_nothing_across_rotations(tmp_path):
    log = Log(tmp_path / "output.log")
    log.print(1)

    def print_and_rotate():
        log.print(300)
        rotate(log.path, BYTES_MAX)
        # More than before: a file that is longer than the reader's place must not be taken for the same.
        log.print(400)

    steps = [lambda: log.print(10), print_and_rotate, print_and_rotate, lambda: log.print(5)]
    found = asyncio.run(_follow_while(log, 1, steps))
    log.close()
    assert found == lines(log.written)


@pytest.mark.parametrize("ended", [False, True], ids=["and its process goes on", "and its process has ended"])
def test_a_rotation_between_two_reads_of_a_follower_costs_it_nothing(tmp_path, ended):
    log = Log(tmp_path / "output.log")
    log.print(11)

    async def story():
        nonlocal ended
        reader = follow(log.path, lines=11, ended=lambda: ended, poll_seconds=0.001)
        got = await anext(reader)
        log.print(300)
        rotate(log.path, BYTES_MAX)
        # Beyond the reader's place, so that there is something to be read at it.
        log.print(400)
        ended = True
        async for part in reader:
            got += part
        return got.decode().splitlines()

    found = asyncio.run(story())
    log.close()
    assert found == lines(log.written)


def test_a_follower_that_starts_after_a_rotation_begins_in_the_earlier_part(tmp_path):
    log = Log(tmp_path / "output.log")
    log.print(200)
    rotate(log.path, BYTES_MAX)
    log.print(3)
    found = asyncio.run(_follow_while(log, 5, [lambda: log.print(2)]))
    log.close()
    assert found == lines(7, 198)


def test_a_follower_whose_process_ends_right_after_a_rotation_gets_all_of_it(tmp_path):
    log = Log(tmp_path / "output.log")
    log.print(1)

    def last():
        log.print(300)
        rotate(log.path, BYTES_MAX)

    found = asyncio.run(_follow_while(log, 1, [lambda: None, last]))
    log.close()
    assert found == lines(301)


def test_what_a_writer_adds_while_its_log_is_copied_is_kept(tmp_path, monkeypatch):
    log = Log(tmp_path / "output.log")
    copy_rest = rotation._copy_rest

    def overtaken(*files):
        copied = copy_rest(*files)
        if not earlier_part(log.path).exists():
            log.print(1)
        return copied

    monkeypatch.setattr(rotation, "_copy_rest", overtaken)
    log.print(200)
    assert rotate(log.path, BYTES_MAX)
    log.print(5)
    log.close()
    assert log.written > 206
    assert earlier_part(log.path).read_text().splitlines() == lines(log.written - 5)
    assert log.path.read_text().splitlines() == lines(5, log.written - 5)


def test_of_a_log_far_over_its_bound_the_newest_part_is_kept_and_the_rest_takes_no_room(tmp_path):
    log = tmp_path / "output.log"
    with log.open("wb") as file:
        file.writelines(b"%015d\n" % number for number in range(2**18))
    assert rotate(log, 2**20)
    earlier = tmp_path / "output.log.1"
    assert earlier.stat().st_blocks * 512 <= 2**20 + 2 * 4096
    with earlier.open("rb") as file:
        begin = data_start(file.fileno(), 0)
        assert begin == data_start(file.fileno(), 100)
        file.seek(begin)
        kept = file.read()
    assert len(kept) >= 2**20
    assert kept.startswith(b"%015d\n" % (begin // 16))
    assert kept.endswith(b"%015d\n" % (2**18 - 1))
    assert tail(log, 1) == f"{2**18 - 1:015d}\n"
