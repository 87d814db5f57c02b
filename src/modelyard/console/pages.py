"""Routes of the console, and what stands in a page's place where there is nothing to show."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.clock import Clock
from modelyard.console import sessions
from modelyard.console.asking import HEADERS, ask, has_session, render
from modelyard.console.endpoints import CHANGES, change_endpoint, endpoint_page
from modelyard.console.overview import overview
from modelyard.errors import Forbidden, ModelyardError, NotFound, Unauthorized
from modelyard.protocol.routes import CONSOLE
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from modelyard.sdk.in_process import InProcess

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
            await ask(request, yard(), lambda client: change_endpoint(client, name, what, form))
        except Unauthorized:
            reason = "This browser's session is over, or the request did not come from a page of this yard."
            return sessions.login_page(CONSOLE, reason)
        except ModelyardError as error:
            told = f"{error.message}. {error.hint or ''}"
            return await _page(
                request, yard(), "endpoint.html", lambda client: endpoint_page(client, name, clock.now(), told), 409
            )
        return RedirectResponse(f"{CONSOLE}/endpoints/{quote(name)}", 303, headers=HEADERS)

    async def show_style(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return Response(_read("style.css"), media_type="text/css", headers=_STYLE_HEADERS)

    async def go_to_console(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
        return RedirectResponse(CONSOLE, 307)

    return [
        Route("/", go_to_console),
        Route(CONSOLE, show_overview),
        Route(f"{CONSOLE}/endpoints/{{name}}", show_endpoint),
        *(Route(f"{CONSOLE}/endpoints/{{name}}/{verb}", change, methods=["POST"]) for verb in CHANGES),
        *sessions.routes(yard),
        Route(f"{CONSOLE}/style.css", show_style),
    ]


async def _page(
    request: Request,
    yard: "InProcess",
    template: str,
    content: Callable[[Client], dict[str, Any]],
    status: int = 200,
) -> Response:
    """A page, or the login that leads to it, or the one that says that there is no such thing or that it is not for
    everybody."""
    target = sessions.next_page(request.url.path)
    if not has_session(request):
        return sessions.login_page(target, "")
    try:
        values = await ask(request, yard, content)
    except Unauthorized:
        return sessions.login_page(target, "This browser's session is over.")
    except Forbidden as error:
        me = await ask(request, yard, lambda client: client.access.me())
        if me["must_change_password"]:
            return RedirectResponse(sessions.PASSWORD, 303, headers=HEADERS)
        return render("missing.html", {"message": error.message, "hint": error.hint}, 403)
    except NotFound as error:
        return render("missing.html", {"message": error.message, "hint": error.hint}, 404)
    return render(template, values, status)


@cache
def _read(name: str) -> str:
    return files("modelyard.console").joinpath(name).read_text(encoding="utf-8")
