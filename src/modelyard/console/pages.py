"""Routes of the console, and how a page leaves: rendered, with a policy that lets nothing else in."""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.clock import Clock
from modelyard.console.endpoints import CHANGES, change_endpoint, endpoint_page
from modelyard.console.overview import overview
from modelyard.errors import ModelyardError, NotFound, Unauthorized
from modelyard.protocol.routes import CONSOLE
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelyard.sdk.in_process import InProcess, SessionView

SESSION_COOKIE = "modelyard_session"

_AnswerT = TypeVar("_AnswerT")

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Not `no-referrer`: with it a form's request would not say that it comes from a page of ours.
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "same-origin", "cache-control": "no-store"}
_STYLE_HEADERS = {"cache-control": "max-age=300"}


def routes(yard: "Callable[[], InProcess]", clock: Clock) -> list[BaseRoute]:
    """`yard` is called within a request, when the application's loop runs and the sdk's HTTP client is first needed."""

    async def show_overview(request: Request) -> Response:
        return await _page(request, yard(), "overview.html", lambda client: overview(client, clock.now()))

    async def show_endpoint(request: Request) -> Response:
        name = str(request.path_params["name"])
        return await _page(request, yard(), "endpoint.html", lambda client: endpoint_page(client, name, clock.now()))

    async def change(request: Request) -> Response:
        name, what = str(request.path_params["name"]), request.url.path.rpartition("/")[2]
        form = await request.body()
        try:
            await _ask(request, yard(), lambda client: change_endpoint(client, name, what, form))
        except Unauthorized:
            return _closed("This browser's session is over, or the request did not come from a page of this yard.")
        except ModelyardError as error:
            told = f"{error.message}. {error.hint or ''}"
            return await _page(
                request, yard(), "endpoint.html", lambda client: endpoint_page(client, name, clock.now(), told), 409
            )
        return RedirectResponse(f"{CONSOLE}/endpoints/{quote(name)}", 303, headers=_HEADERS)

    async def enter(request: Request) -> Response:
        return await _enter(request, yard())

    async def show_style(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return Response(_read("style.css"), media_type="text/css", headers=_STYLE_HEADERS)

    async def go_to_console(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return RedirectResponse(CONSOLE, 307)

    return [
        Route("/", go_to_console),
        Route(CONSOLE, show_overview),
        Route(f"{CONSOLE}/endpoints/{{name}}", show_endpoint),
        *(Route(f"{CONSOLE}/endpoints/{{name}}/{verb}", change, methods=["POST"]) for verb in CHANGES),
        Route(f"{CONSOLE}/enter", enter),
        Route(f"{CONSOLE}/style.css", show_style),
    ]


async def _page(
    request: Request,
    yard: "InProcess",
    template: str,
    content: Callable[[Client], dict[str, Any]],
    status: int = 200,
) -> Response:
    """A page, or the one that says how to come in, or that there is no such thing."""
    if SESSION_COOKIE not in request.cookies:
        return _closed(None)
    try:
        values = await _ask(request, yard, content)
    except Unauthorized:
        return _closed("This browser's session is over.")
    except NotFound as error:
        return _render("missing.html", {"message": error.message, "hint": error.hint}, 404)
    return _render(template, values, status)


async def _ask(request: Request, yard: "InProcess", question: Callable[[Client], _AnswerT]) -> _AnswerT:
    """Asks the yard as the browser would that sent `request`."""

    def ask() -> _AnswerT:
        cookies, page = request.headers.get("cookie", ""), request.headers.get("origin")
        with yard.client(_origin(request), cookies, page) as client:
            return question(client)

    # Not the framework's own threads: those answer what this page asks, and must not all be waiting for themselves.
    return await asyncio.to_thread(ask)


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
