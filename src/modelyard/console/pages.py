"""Routes of the console, and how a page leaves: rendered, with a policy that lets nothing else in."""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.clock import Clock
from modelyard.console.overview import overview
from modelyard.errors import Unauthorized
from modelyard.protocol.routes import CONSOLE
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelyard.sdk.in_process import InProcess, SessionView

SESSION_COOKIE = "modelyard_session"

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer", "cache-control": "no-store"}
_STYLE_HEADERS = {"cache-control": "max-age=300"}


def routes(yard: "Callable[[], InProcess]", clock: Clock) -> list[BaseRoute]:
    """`yard` is called within a request, when the application's loop runs and the sdk's HTTP client is first needed."""

    async def show_overview(request: Request) -> Response:
        return await _page(request, yard(), "overview.html", lambda client: overview(client, clock.now()))

    async def enter(request: Request) -> Response:
        return await _enter(request, yard())

    async def show_style(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return Response(_read("style.css"), media_type="text/css", headers=_STYLE_HEADERS)

    async def go_to_console(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return RedirectResponse(CONSOLE, 307)

    return [
        Route("/", go_to_console),
        Route(CONSOLE, show_overview),
        Route(f"{CONSOLE}/enter", enter),
        Route(f"{CONSOLE}/style.css", show_style),
    ]


async def _page(
    request: Request, yard: "InProcess", template: str, content: Callable[[Client], dict[str, Any]]
) -> Response:
    """A page, or the one that says how to come in."""

    def load() -> dict[str, Any]:
        with yard.client(_origin(request), request.headers.get("cookie", "")) as client:
            return content(client)

    if SESSION_COOKIE not in request.cookies:
        return _closed(None)
    try:
        # Not the framework's own threads: those answer what this page asks, and must not all be waiting for themselves.
        values = await asyncio.to_thread(load)
    except Unauthorized:
        return _closed("This browser's session is over.")
    return _render(template, values)


async def _enter(request: Request, yard: "InProcess") -> Response:
    """Trades the link for a session: from here on the browser has a cookie that no script and no other site can use."""
    token = request.query_params.get("token", "")
    try:
        opened: SessionView = await asyncio.to_thread(yard.open_session, _origin(request), token)
    except Unauthorized:
        return _closed("This link was used already, or is older than a minute.")
    response = RedirectResponse(CONSOLE, 303, headers=_HEADERS)
    response.set_cookie(
        SESSION_COOKIE,
        opened["session"],
        max_age=int(opened["seconds"]),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.headers.get("x-forwarded-proto") == "https",
    )
    return response


def _closed(reason: str | None) -> Response:
    return _render("closed.html", {"reason": reason}, 401)


def _render(template: str, values: dict[str, Any], status: int = 200) -> Response:
    return HTMLResponse(_templates().get_template(template).render(console=CONSOLE, **values), status, _HEADERS)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (an idle yard has no page to render)

    return Environment(loader=PackageLoader("modelyard.console"), autoescape=True, undefined=StrictUndefined)


@cache
def _read(name: str) -> str:
    return files("modelyard.console").joinpath(name).read_text(encoding="utf-8")


def _origin(request: Request) -> str:
    scheme = request.headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{request.headers.get('host', 'localhost')}"
