"""What only artifacts on the disk promise: modes, links, no leftovers, refusals of the disk."""

import asyncio
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from modelyard.errors import NotFound, StoreFailed
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.disk import ASIDE_SECONDS_MAX
from modelyard.store.ports import TreeFile

HELLO = b"hello"
HELLO_SHA256 = hashlib.sha256(HELLO).hexdigest()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def artifacts(root):
    return FileArtifacts(root)


def blob(root) -> Path:
    return root / HELLO_SHA256[:2] / HELLO_SHA256[2:]


def test_a_blob_has_a_file_of_its_digest_that_nobody_may_write(artifacts, root):
    artifacts.put_bytes(HELLO)
    assert blob(root).read_bytes() == HELLO
    assert stat.S_IMODE(blob(root).stat().st_mode) == 0o444


def test_nothing_is_left_aside_whatever_happened(artifacts, root):
    async def put(chunks, wait_seconds):
        await asyncio.wait_for(artifacts.put(HELLO_SHA256, chunks), wait_seconds)

    async def never_ending():
        yield HELLO
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(put(never_ending(), 0.05))
    artifacts.put_bytes(HELLO)
    artifacts.put_bytes(HELLO)
    assert list((root / "aside").iterdir()) == []


def test_what_a_dead_process_left_aside_goes_when_it_is_old(artifacts, root):
    old, young = root / "aside" / "old", root / "aside" / "young"
    for left in (old, young):
        left.write_bytes(b"half")
    age = young.stat().st_mtime - ASIDE_SECONDS_MAX - 60.0
    os.utime(old, (age, age))
    FileArtifacts(root)
    assert [one.name for one in (root / "aside").iterdir()] == ["young"]


def test_what_was_half_laid_out_goes_when_it_is_old(artifacts, tmp_path):
    left = tmp_path / ".out.aside-0123"
    left.mkdir()
    os.utime(left, (1.0, 1.0))
    artifacts.lay_out(artifacts.put_tree([]), tmp_path / "out", share=True)
    assert not left.exists()


def test_laid_out_files_share_the_blob_and_executable_ones_are_copies(artifacts, root, tmp_path):
    artifacts.put_bytes(HELLO)
    files = [TreeFile("plain", HELLO_SHA256, 5), TreeFile("bin/run", HELLO_SHA256, 5, executable=True)]
    artifacts.lay_out(artifacts.put_tree(files), tmp_path / "out", share=True)
    assert (tmp_path / "out" / "plain").samefile(blob(root))
    assert not (tmp_path / "out" / "bin" / "run").samefile(blob(root))
    assert stat.S_IMODE((tmp_path / "out" / "bin" / "run").stat().st_mode) == 0o555
    assert stat.S_IMODE(blob(root).stat().st_mode) == 0o444


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second device")
def test_files_are_copied_when_the_folder_is_on_another_device(artifacts, root, tmp_path_factory):
    other = Path("/dev/shm") / f"modelyard-test-{os.getpid()}"
    if other.parent.stat().st_dev == root.stat().st_dev:
        pytest.skip("needs a second device")
    artifacts.put_bytes(HELLO)
    digest = artifacts.put_tree([TreeFile("plain", HELLO_SHA256, 5)])
    try:
        artifacts.lay_out(digest, other, share=True)
        assert (other / "plain").read_bytes() == HELLO
        assert stat.S_IMODE((other / "plain").stat().st_mode) == 0o444
    finally:
        (other / "plain").unlink(missing_ok=True)
        other.rmdir()


def test_a_tree_whose_blob_has_vanished_is_laid_out_not_at_all(artifacts, root, tmp_path):
    artifacts.put_bytes(HELLO)
    other = artifacts.put_bytes(b"other")
    digest = artifacts.put_tree([TreeFile("a/b", other, 5), TreeFile("z", HELLO_SHA256, 5)])
    blob(root).unlink()
    with pytest.raises(NotFound, match=HELLO_SHA256):
        artifacts.lay_out(digest, tmp_path / "out", share=True)
    assert [one.name for one in tmp_path.iterdir()] == ["artifacts"]


def test_a_full_disk_is_said_with_the_file_and_the_remedy(artifacts, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # No disk can be filled here without harm to others; the one call that a full disk fails is enough.
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFailed, match=r"cannot write .*artifacts.*No space left") as refused:
        artifacts.put_bytes(HELLO)
    assert "make room" in (refused.value.hint or "")
    assert not artifacts.has(HELLO_SHA256)


def test_a_place_that_is_no_folder_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match=r"cannot use .*file"):
        FileArtifacts(tmp_path / "file")


def test_other_work_goes_on_while_a_large_blob_is_written(artifacts):
    content = os.urandom(2**20) * 48
    sha256 = hashlib.sha256(content).hexdigest()

    async def chunks():
        for begin in range(0, len(content), 2**16):
            yield content[begin : begin + 2**16]

    async def turns_while_writing():
        writing = asyncio.create_task(artifacts.put(sha256, chunks()))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
        assert writing.result() == len(content)
        return turns

    assert asyncio.run(turns_while_writing()) > 48
