"""What every page does: ask the yard as the browser would, and leave with a policy that lets nothing else in."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from modelyard.protocol.routes import CONSOLE, SECURE_SESSION_COOKIE, SESSION_COOKIE
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelyard.sdk.in_process import InProcess

_AnswerT = TypeVar("_AnswerT")

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Not `no-referrer`: with it a form's request would not say that it comes from a page of ours.
HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "same-origin", "cache-control": "no-store"}

_TAKEN_ALONG = ("cookie", "origin", "user-agent", "x-forwarded-for", "x-forwarded-proto")
"""Headers of the browser's request that the yard is asked with: who it is, where it is, which page it comes from."""


async def ask(request: Request, yard: "InProcess", question: Callable[[Client], _AnswerT]) -> _AnswerT:
    """Asks the yard as the browser would that sent `request`."""
    headers = {name: request.headers[name] for name in _TAKEN_ALONG if name in request.headers}

    def answer() -> _AnswerT:
        with yard.client(origin(request), headers) as client:
            return question(client)

    # Not the framework's own threads: those answer what this page asks, and must not all be waiting for themselves.
    return await asyncio.to_thread(answer)


def has_session(request: Request) -> bool:
    return SESSION_COOKIE in request.cookies or SECURE_SESSION_COOKIE in request.cookies


def is_secure(request: Request) -> bool:
    return request.headers.get("x-forwarded-proto") == "https"


def session_cookie(request: Request) -> str:
    """The cookie's name: over TLS one that only this host can set, and only over TLS."""
    return SECURE_SESSION_COOKIE if is_secure(request) else SESSION_COOKIE


def origin(request: Request) -> str:
    """Scheme, host and port by which the browser reached the yard."""
    scheme = request.headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{request.headers.get('host', 'localhost')}"


def render(template: str, values: dict[str, Any], status: int = 200) -> Response:
    return HTMLResponse(_templates().get_template(template).render(console=CONSOLE, **values), status, HEADERS)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (an idle yard has no page to render)

    return Environment(loader=PackageLoader("modelyard.console"), autoescape=True, undefined=StrictUndefined)
