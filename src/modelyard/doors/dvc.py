"""`/dvc/NAME`: a data remote for DVC's HTTP client.

    GET, HEAD  /dvc/NAME/files/md5/ab/cdef...[.dir]    the object, or a range of it; 404 where it is missing
    POST, PUT  the same                                stores it, if its MD5 is what the path says

The client asks with GET whether an object is there and drops the connection, so an answer begins with its head and
costs nothing before it is read. There is no listing: the client does without. Errors are a line of plain text, which
the client shows as it is.
"""

import asyncio
import logging
import re
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from modelyard.clock import Clock
from modelyard.domain.disk import Disk, check_room
from modelyard.doors.credentials import check_key
from modelyard.errors import InvalidValue, ModelyardError, NotFound, Unauthorized
from modelyard.protocol.routes import DVC
from modelyard.store.ports import Keys
from modelyard.store.remotes import DataRemotes

STATUSES: dict[str, int] = {
    "invalid_value": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "no_room": 507,
}
"""Every other error of ours is 500."""

_METHODS = "GET, HEAD, POST, PUT"
_OBJECT = re.compile(rf"{DVC}/([^/]+)/files/md5/([0-9a-f]{{2}})/([0-9a-f]{{30}}(?:\.dir)?)")

_log = logging.getLogger("modelyard.control")


class DvcDoor:
    """`disk` says how full the disk is now: while it is short, objects are read and none is taken."""

    def __init__(self, remotes: DataRemotes, keys: Keys, clock: Clock, disk: Callable[[], Disk]) -> None:
        self._remotes = remotes
        self._keys = keys
        self._clock = clock
        self._disk = disk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ModelyardError as error:
            response = _refusal(request, error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        check_key(self._keys, request.headers, request.method, self._clock.now())
        if request.method not in _METHODS.split(", "):
            return PlainTextResponse(
                f"cannot {request.method}: a data remote has {_METHODS}\n", 405, headers={"allow": _METHODS}
            )
        remote, name = _named(request.url.path)
        if request.method in ("POST", "PUT"):
            check_room(self._disk(), "take the data", int(request.headers.get("content-length") or 0))
            await self._remotes.put(remote, name, request.stream())
            return Response(status_code=201)
        found = await asyncio.to_thread(self._remotes.path, remote, name)
        return FileResponse(found, media_type="application/octet-stream")


def _named(path: str) -> tuple[str, str]:
    """(remote, object) of a path. Raises NotFound for whatever is no object's."""
    match = _OBJECT.fullmatch(path)
    if match is None:
        raise NotFound(f"cannot find {path[:200]}", f"objects are {DVC}/NAME/files/md5/AB/CDEF...; there is no listing")
    return match[1], match[2] + match[3]


def _refusal(request: Request, error: ModelyardError) -> Response:
    status = STATUSES.get(error.code, 500)
    if isinstance(error, InvalidValue) and request.method in ("GET", "HEAD"):
        # A name that cannot be is a name that is not there.
        status = 404
    if status >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
    headers = {"www-authenticate": 'Basic realm="modelyard"'} if isinstance(error, Unauthorized) else None
    hint = f"; {error.hint}" if error.hint else ""
    return PlainTextResponse(f"{error.message}{hint}\n", status, headers)
