"""Sending files to the yard: only those that it does not have, each once, streamed."""

from collections.abc import Iterator, Sequence
from typing import Any

from modelyard.errors import InvalidValue
from modelyard.packaging.files import LocalFile
from modelyard.sdk.connection import Connection
from modelyard.sdk.progress import Progress, no_progress

CHUNK_BYTES = 1 * 2**20
DIGESTS_PER_REQUEST = 10_000


def send_tree(connection: Connection, files: Sequence[LocalFile], progress: Progress = no_progress) -> str:
    """Sends what is missing of `files` and returns the digest of their tree.

    Raises NotFound where a file went away, InvalidValue where one changed while it was sent.
    """
    by_digest: dict[str, LocalFile] = {}
    documents: list[dict[str, Any]] = []
    total = sum(file.size_bytes for file in files)
    hashed = 0
    for file in files:
        progress("reading", hashed, total)
        digest = file.sha256()
        hashed += file.size_bytes
        by_digest[digest] = file
        documents.append(
            {"path": file.path, "sha256": digest, "size_bytes": file.size_bytes, "executable": file.executable}
        )
    _send_missing(connection, by_digest, progress)
    return str(connection.post("/trees", {"files": documents})["digest"])


def _send_missing(connection: Connection, by_digest: dict[str, LocalFile], progress: Progress) -> None:
    missing: list[str] = []
    digests = list(by_digest)
    for start in range(0, len(digests), DIGESTS_PER_REQUEST):
        asked = digests[start : start + DIGESTS_PER_REQUEST]
        missing += connection.post("/artifacts/missing", {"digests": asked})["missing"]
    total = sum(by_digest[digest].size_bytes for digest in missing)
    sent = 0
    for digest in missing:
        file = by_digest[digest]
        connection.put(f"/artifacts/{digest}", _chunks(file, sent, total, progress), file.size_bytes)
        sent += file.size_bytes
    if total:
        progress("sending", total, total)


def _chunks(file: LocalFile, sent: int, total: int, progress: Progress) -> Iterator[bytes]:
    """As many bytes as were hashed: what a file has grown by since is left out, and what it lost is told."""
    left = file.size_bytes
    with file.source.open("rb") as content:
        while left and (chunk := content.read(min(CHUNK_BYTES, left))):
            progress("sending", sent, total)
            yield chunk
            sent += len(chunk)
            left -= len(chunk)
    if left:
        raise InvalidValue(f"cannot send {file.path}: it became shorter while it was sent", "try again")
