"""The yard's API over its Unix socket, as far as the registry needs it."""

import hashlib
import http.client
import json
import os
import socket
from typing import Any, BinaryIO, Dict, Iterator, Optional, Set, Tuple
from urllib.parse import quote

ANSWER_SECONDS = 60.0
CHUNK_BYTES = 2**20


class YardRefused(Exception):  # noqa: N818 (what happened, in the yard's own words)
    """The yard's own words, with the code of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class YardApi:
    def __init__(self, path: str, token: str) -> None:
        """`path` is the socket; the token opens what a registry needs and nothing else."""
        self._path = path
        self._token = token

    def get(self, *parts: str) -> Any:
        return self._ask("GET", _path(parts))

    def post(self, document: Any, *parts: str) -> Any:
        return self._ask("POST", _path(parts), json.dumps(document).encode())

    def put(self, document: Any, *parts: str) -> Any:
        return self._ask("PUT", _path(parts), json.dumps(document).encode())

    def delete(self, *parts: str, query: str = "") -> Any:
        return self._ask("DELETE", _path(parts) + query)

    def put_folder(self, folder: str) -> str:
        """The digest of the tree of a folder's files. What the yard has already is not sent again."""
        found = list(_files(folder))
        digests = [one["sha256"] for _, one in found]
        missing: Set[str] = set(self.post({"digests": digests}, "artifacts", "missing")["missing"])
        for path, one in found:
            if one["sha256"] in missing:
                missing.discard(one["sha256"])
                with open(path, "rb") as content:
                    self._ask("PUT", _path(("artifacts", one["sha256"])), content, one["size_bytes"])
        return self.post({"files": [one for _, one in found]}, "trees")["digest"]

    def _ask(self, method: str, path: str, body: Any = None, size_bytes: Optional[int] = None) -> Any:
        connection = _UnixConnection(self._path)
        headers = {"host": "localhost", "authorization": f"Bearer {self._token}", "content-type": "application/json"}
        if size_bytes is not None:
            headers["content-length"] = str(size_bytes)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer: Dict[str, Any] = json.loads(response.read() or b"{}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise YardRefused("unavailable", f"cannot reach the yard: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            fault: Dict[str, Any] = answer.get("error") or {}
            hint = f"; {fault['hint']}" if fault.get("hint") else ""
            message = str(fault.get("message") or f"the yard answered {response.status}")
            raise YardRefused(str(fault.get("code")), message + hint)
        return answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _path(parts: Tuple[str, ...]) -> str:
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


def _files(folder: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(root, name)
            with open(path, "rb") as content:
                digest = _sha256(content)
            inner = os.path.relpath(path, folder).replace(os.sep, "/")
            yield path, {"path": inner, "sha256": digest, "size_bytes": os.path.getsize(path)}


def _sha256(content: BinaryIO) -> str:
    digest = hashlib.sha256()
    while True:
        chunk = content.read(CHUNK_BYTES)
        if not chunk:
            return digest.hexdigest()
        digest.update(chunk)
