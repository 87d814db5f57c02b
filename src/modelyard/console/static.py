"""The style sheet, the scripts, the icon: few, small, from here, under names that change with what they hold."""

import hashlib
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from modelyard.protocol.routes import CONSOLE

FILES = ("console.css", "console.js", "icon.svg", "vendored/idiomorph-0.8.0.min.js")

DIGITS = 12
"""Of the digest that a file's address has."""

_TYPES = MappingProxyType({"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"})

# A year, the most that caches take: what is in the file never changes under this address.
_HEADERS = MappingProxyType(
    {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
)


def routes() -> list[BaseRoute]:
    return [Route(f"{CONSOLE}/static/{{digest}}/{{name:path}}", _show)]


async def _show(request: Request) -> Response:
    name, digest = str(request.path_params["name"]), str(request.path_params["digest"])
    if name not in FILES or digest != _digest(name):
        return Response("not here", 404, media_type="text/plain")
    return Response(_read(name), media_type=_TYPES[name.rpartition(".")[2]], headers=dict(_HEADERS))


def address(name: str) -> str:
    """Where a page finds a file."""
    return f"{CONSOLE}/static/{_digest(name)}/{name}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_read(name)).hexdigest()[:DIGITS]


@cache
def _read(name: str) -> bytes:
    return files("modelyard.console").joinpath("static").joinpath(name).read_bytes()
