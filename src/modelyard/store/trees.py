"""Trees: named sets of files, as canonical JSON whose sha256 is the tree's digest.

    {"files":[{"executable":false,"path":"a/b.txt","sha256":"...","size_bytes":3}],"format":"modelyard-tree-1"}

Keys in order, no spaces, files by path: the same files give the same bytes. A tree is a blob like any other, so anyone
who may upload can make one up; its paths are checked again whenever it is read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from modelyard.errors import InvalidValue
from modelyard.store.ports import TreeFile

FORMAT = "modelyard-tree-1"

TREE_FILES_MAX = 100_000
TREE_BYTES_MAX = 64 * 2**20
"""A tree's own JSON: enough for `TREE_FILES_MAX` files with long paths."""
PATH_BYTES_MAX = 1024
PATH_PART_BYTES_MAX = 255
"""What Linux's file systems allow for one name."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_digest(sha256: str) -> str:
    """Returns a digest that may become part of a path. Raises InvalidValue for anything but 64 hexadecimal digits."""
    if not _SHA256.fullmatch(sha256):
        raise InvalidValue(f"cannot use {sha256[:80]!r} as a sha256", "write 64 hexadecimal digits in lower case")
    return sha256


def encode_tree(files: Sequence[TreeFile]) -> bytes:
    """Raises InvalidValue for a bad path, a duplicate one, or one that is a file and a folder at once."""
    ordered = sorted(files, key=lambda one: one.path)
    _check_files(ordered)
    document = {"format": FORMAT, "files": [asdict(one) for one in ordered]}
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if len(content) > TREE_BYTES_MAX:
        raise InvalidValue(
            f"cannot store a tree of {len(content)} bytes: at most {TREE_BYTES_MAX}", "store fewer files"
        )
    return content


def decode_tree(digest: str, content: bytes) -> list[TreeFile]:
    """The files of a tree by path. Raises InvalidValue where the content is not a tree or its paths could do harm."""
    try:
        document: Any = json.loads(content)
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        files = [
            TreeFile(str(one["path"]), str(one["sha256"]), int(one["size_bytes"]), bool(one["executable"]))
            for one in document["files"]
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidValue(f"cannot read {digest} as a tree: it is another kind of file") from error
    _check_files(files)
    return sorted(files, key=lambda one: one.path)


def _check_files(files: Sequence[TreeFile]) -> None:
    if len(files) > TREE_FILES_MAX:
        raise InvalidValue(f"cannot store a tree of {len(files)} files: at most {TREE_FILES_MAX}", "store an archive")
    paths: set[str] = set()
    folders: set[str] = set()
    for one in files:
        check_path(one.path)
        check_digest(one.sha256)
        if one.size_bytes < 0:
            raise InvalidValue(f"cannot store file {one.path!r}: its size is {one.size_bytes}")
        if one.path in paths:
            raise InvalidValue(f"cannot store file {one.path!r}: the tree names it twice")
        paths.add(one.path)
        folders.update(parent_paths(one.path))
    if both := paths & folders:
        raise InvalidValue(f"cannot store file {min(both)!r}: the tree has a folder of that name")


def parent_paths(path: str) -> Iterator[str]:
    """The folders that a file of a tree is in: `a` and `a/b` for `a/b/c`."""
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def check_path(path: str) -> None:
    """Refuses whatever could leave the folder that it is laid out in, or could not be written everywhere."""
    parts = path.split("/")
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"cannot store file {path!r}: its name is not UTF-8", "rename it") from error
    forbidden = "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts)
    if forbidden:
        raise InvalidValue(
            f"cannot store file {path[:PATH_BYTES_MAX]!r}: not a plain relative path",
            "use forward slashes, without '..', '.', a backslash, or a slash at either end",
        )
    if len(encoded) > PATH_BYTES_MAX or any(len(part.encode()) > PATH_PART_BYTES_MAX for part in parts):
        raise InvalidValue(
            f"cannot store file {path[:PATH_BYTES_MAX]!r}: its path is too long",
            f"at most {PATH_BYTES_MAX} bytes, and {PATH_PART_BYTES_MAX} for each part",
        )


def check_size(one: TreeFile, size_bytes: int) -> None:
    """Refuses a tree's file whose size is not its blob's."""
    if one.size_bytes != size_bytes:
        raise InvalidValue(f"cannot store file {one.path!r}: its blob has {size_bytes} bytes, not {one.size_bytes}")


def check_tree_size(digest: str, size_bytes: int) -> None:
    """Refuses to read as a tree what is larger than any tree."""
    if size_bytes > TREE_BYTES_MAX:
        raise InvalidValue(f"cannot read {digest} as a tree: it has {size_bytes} bytes, at most {TREE_BYTES_MAX}")
