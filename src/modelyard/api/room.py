"""The guard of the disk: while it is nearly full, requests for new work are refused with 507. All others go on."""

import re
import shutil

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.api.errors import respond
from modelyard.api.yard import Yard
from modelyard.domain.disk import Disk, check_room, free_limit_bytes
from modelyard.errors import NoRoom
from modelyard.protocol.routes import API, BODY_BYTES_MAX_API

_WORK = (
    ("PUT", re.compile(f"{API}/artifacts/.*"), "take the file"),
    ("POST", re.compile(f"{API}/trees"), "take the files"),
    ("POST", re.compile(f"{API}/(data|runs)/[^/]*/trees"), "take the files"),
    ("POST", re.compile(f"{API}/deployments"), "deploy"),
    ("POST", re.compile(f"{API}/runs"), "start a run"),
    ("POST", re.compile(f"{API}/transforms"), "start a transform"),
    ("POST", re.compile(f"{API}/models/[^/]*/versions"), "register a model"),
)
"""What makes the disk fuller: method, path, and what it would do."""


def disk_of(yard: Yard) -> Disk:
    """Costs microseconds, so it is never remembered: room that was made counts at once."""
    found = shutil.disk_usage(yard.home.root)
    care = yard.care
    limit = free_limit_bytes(found.total, care.disk_free_bytes_min, care.disk_free_share_min)
    return Disk(found.free, found.total, limit)


class Room:
    """Stands before the routes, behind the check of the credential."""

    def __init__(self, app: ASGIApp, yard: Yard) -> None:
        self._app = app
        self._yard = yard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        what = _work(scope) if scope["type"] == "http" else None
        if what is not None:
            try:
                check_room(disk_of(self._yard), what, int(Headers(scope=scope).get("content-length") or 0))
            except NoRoom as refusal:
                await _throw_away(receive)
                await respond(refusal, scope["state"]["request_id"])(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _throw_away(receive: Receive) -> None:
    """Reads the body where it is not too long: a client that is still sending may miss an answer that comes sooner."""
    taken = 0
    while taken <= BODY_BYTES_MAX_API:
        message = await receive()
        taken += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _work(scope: Scope) -> str | None:
    method, path = scope["method"], scope["path"]
    return next((what for verb, pattern, what in _WORK if verb == method and pattern.fullmatch(path)), None)
