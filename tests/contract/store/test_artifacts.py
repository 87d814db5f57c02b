import asyncio
import hashlib
import os
import stat

import pytest

from modelyard.errors import Conflict, InvalidValue, NotFound
from modelyard.store.ports import TreeFile

HELLO = b"hello"
HELLO_SHA256 = hashlib.sha256(HELLO).hexdigest()
ABSENT = "0" * 64


async def stream(*chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def put(artifacts, sha256, *chunks):
    return asyncio.run(artifacts.put(sha256, stream(*chunks)))


def tree_of(artifacts, *paths, executable=False):
    sha256 = artifacts.put_bytes(HELLO)
    return artifacts.put_tree([TreeFile(path, sha256, len(HELLO), executable) for path in paths])


def test_a_streamed_blob_is_there_under_its_digest(artifacts):
    assert put(artifacts, HELLO_SHA256, b"he", b"", b"llo") == 5
    assert artifacts.has(HELLO_SHA256)
    assert artifacts.read(HELLO_SHA256) == HELLO


def test_a_large_blob_in_many_chunks_comes_back_whole(artifacts):
    chunks = [bytes([number]) * 300_000 for number in range(12)]
    content = b"".join(chunks)
    sha256 = hashlib.sha256(content).hexdigest()
    assert put(artifacts, sha256, *chunks) == len(content)
    assert artifacts.read(sha256) == content


def test_an_empty_blob_is_a_blob(artifacts):
    sha256 = hashlib.sha256(b"").hexdigest()
    assert put(artifacts, sha256) == 0
    assert artifacts.read(sha256) == b""


def test_content_of_another_digest_is_refused_and_not_kept(artifacts):
    with pytest.raises(InvalidValue, match=HELLO_SHA256):
        put(artifacts, ABSENT, HELLO)
    assert artifacts.missing([ABSENT, HELLO_SHA256]) == [ABSENT, HELLO_SHA256]


def test_a_stream_that_breaks_keeps_nothing_and_its_error_comes_through(artifacts):
    async def breaking():
        yield HELLO
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        asyncio.run(artifacts.put(HELLO_SHA256, breaking()))
    assert not artifacts.has(HELLO_SHA256)


def test_a_blob_may_be_stored_again(artifacts, tmp_path):
    assert artifacts.put_bytes(HELLO) == HELLO_SHA256
    assert put(artifacts, HELLO_SHA256, HELLO) == 5
    (tmp_path / "file").write_bytes(HELLO)
    assert artifacts.put_file(tmp_path / "file") == (HELLO_SHA256, 5)
    assert (tmp_path / "file").exists()
    assert artifacts.read(HELLO_SHA256) == HELLO


def test_one_blob_may_be_stored_by_many_at_once(artifacts):
    async def store_it_often():
        await asyncio.gather(*(artifacts.put(HELLO_SHA256, stream(HELLO)) for _ in range(20)))

    asyncio.run(store_it_often())
    assert artifacts.read(HELLO_SHA256) == HELLO


def test_missing_names_what_is_not_there(artifacts):
    artifacts.put_bytes(HELLO)
    assert artifacts.missing([HELLO_SHA256, ABSENT]) == [ABSENT]


def test_what_is_not_there_is_not_found(artifacts, tmp_path):
    for call in (
        lambda: artifacts.read(ABSENT),
        lambda: artifacts.tree(ABSENT),
        lambda: artifacts.lay_out(ABSENT, tmp_path / "out", share=True),
        lambda: artifacts.put_file(tmp_path / "absent"),
        lambda: artifacts.put_folder(tmp_path / "absent"),
        lambda: artifacts.put_tree([TreeFile("a", ABSENT, 1)]),
    ):
        with pytest.raises(NotFound):
            call()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "abc", "../" + "a" * 61, "A" * 64, "g" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n"])
def test_a_digest_that_is_none_never_becomes_a_path(artifacts, tmp_path, text):
    for call in (
        lambda: artifacts.has(text),
        lambda: artifacts.missing([text]),
        lambda: artifacts.read(text),
        lambda: artifacts.tree(text),
        lambda: artifacts.lay_out(text, tmp_path / "out", share=True),
        lambda: put(artifacts, text, HELLO),
        lambda: artifacts.put_tree([TreeFile("a", text, 5)]),
    ):
        with pytest.raises(InvalidValue, match="sha256"):
            call()


def test_the_same_files_give_the_same_tree_in_any_order(artifacts):
    digest = tree_of(artifacts, "b", "a/c", "A")
    assert tree_of(artifacts, "A", "b", "a/c") == digest
    assert tree_of(artifacts, "A", "b") != digest
    assert tree_of(artifacts, "A", "b", "a/c", executable=True) != digest
    assert [one.path for one in artifacts.tree(digest)] == ["A", "a/c", "b"]


def test_an_empty_tree_is_a_tree(artifacts, tmp_path):
    digest = artifacts.put_tree([])
    assert artifacts.tree(digest) == []
    artifacts.lay_out(digest, tmp_path / "out", share=True)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "a\0b", "\udcff"],
)
def test_a_path_that_could_lead_elsewhere_is_refused(artifacts, path):
    with pytest.raises(InvalidValue, match="cannot store file"):
        tree_of(artifacts, path)


@pytest.mark.parametrize("path", ["x" * 256, "/".join(["long"] * 300)])
def test_a_path_longer_than_file_systems_allow_is_refused(artifacts, path):
    with pytest.raises(InvalidValue, match="its path is too long"):
        tree_of(artifacts, path)


def test_paths_that_differ_only_in_case_or_are_not_ascii_are_fine(artifacts, tmp_path):
    digest = tree_of(artifacts, "a", "A", "\u00fcber/\u6a21\u578b.bin", "...", "-rf", "a b")
    artifacts.lay_out(digest, tmp_path / "out", share=True)
    assert (tmp_path / "out" / "\u00fcber" / "\u6a21\u578b.bin").read_bytes() == HELLO
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_a_path_twice_or_as_file_and_folder_is_refused(artifacts):
    with pytest.raises(InvalidValue, match="twice"):
        tree_of(artifacts, "a", "a")
    with pytest.raises(InvalidValue, match="has a folder of that name"):
        tree_of(artifacts, "a/b", "a")


def test_a_size_that_is_not_the_blobs_is_refused(artifacts):
    sha256 = artifacts.put_bytes(HELLO)
    with pytest.raises(InvalidValue, match="has 5 bytes, not 4"):
        artifacts.put_tree([TreeFile("a", sha256, 4)])


@pytest.mark.parametrize(
    "content",
    [
        HELLO,
        b"[]",
        b'{"format":"modelyard-tree-1"}',
        b'{"format":"other","files":[]}',
        b'{"format":"modelyard-tree-1","files":[{"path":"../up","sha256":"%s","size_bytes":5,"executable":false}]}'
        % HELLO_SHA256.encode(),
    ],
)
def test_a_blob_that_is_no_tree_or_a_harmful_one_is_never_laid_out(artifacts, tmp_path, content):
    digest = artifacts.put_bytes(content)
    with pytest.raises(InvalidValue):
        artifacts.lay_out(digest, tmp_path / "out", share=True)
    assert list(tmp_path.glob("*out*")) == []


def test_a_folder_comes_back_as_it_was(artifacts, tmp_path):
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "file.txt").write_text("text")
    (source / "run.sh").write_text("#!/bin/sh")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("deep/er/file.txt")
    (source / "folder").symlink_to("deep")
    os.mkfifo(source / "pipe")
    digest = artifacts.put_folder(source)
    artifacts.lay_out(digest, tmp_path / "some" / "where" / "out", share=True)
    out = tmp_path / "some" / "where" / "out"
    found = {str(one.relative_to(out)): one.read_text() for one in out.rglob("*") if one.is_file()}
    assert found == {
        "deep/er/file.txt": "text",
        "folder/er/file.txt": "text",
        "link": "text",
        "run.sh": "#!/bin/sh",
    }
    assert not (out / "link").is_symlink()
    assert os.access(out / "run.sh", os.X_OK)
    assert not stat.S_IMODE((out / "link").stat().st_mode) & 0o111
    assert artifacts.put_folder(source) == digest


def test_links_that_lead_outside_to_nothing_or_in_a_circle_are_refused(artifacts, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for number, leads_to in enumerate(["../secret", "/etc/hostname", "nothing", ".", "../source-3"]):
        source = tmp_path / f"source-{number}"
        source.mkdir()
        (source / "link").symlink_to(leads_to)
        with pytest.raises(InvalidValue, match="cannot store link 'link'"):
            artifacts.put_folder(source)


def test_a_folder_that_exists_is_never_laid_out_into(artifacts, tmp_path):
    digest = tree_of(artifacts, "a")
    for name in ("empty", "full", "file"):
        (tmp_path / name).write_text("") if name == "file" else (tmp_path / name).mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for name in ("empty", "full", "file"):
        with pytest.raises(Conflict, match="exists already"):
            artifacts.lay_out(digest, tmp_path / name, share=True)
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["mine"]


def test_what_is_done_to_a_copy_never_reaches_the_store(artifacts, tmp_path):
    files = [
        TreeFile("data.csv", artifacts.put_bytes(b"1,2\n"), 4),
        TreeFile("run.sh", artifacts.put_bytes(b"true\n"), 5, True),
    ]
    digest = artifacts.put_tree(files)
    artifacts.lay_out(digest, tmp_path / "out", share=False)
    for one in files:
        copy = tmp_path / "out" / one.path
        assert os.access(copy, os.W_OK)
        assert os.access(copy, os.X_OK) == one.executable
        with copy.open("r+b") as file:
            file.write(b"SPOILT")
    assert artifacts.read(files[0].sha256) == b"1,2\n"
    assert artifacts.read(files[1].sha256) == b"true\n"
    artifacts.lay_out(digest, tmp_path / "again", share=True)
    assert (tmp_path / "again" / "data.csv").read_bytes() == b"1,2\n"
