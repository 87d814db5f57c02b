"""The way through the yard's login to an app or a site at its own origin, and out again.

Pages pass people on by themselves, not by redirects: the console's policy lets its forms lead nowhere else, and a
browser that comes from another site sends no cookie of ours with the first request, but does with one that a page of
ours begins.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.console.asking import HEADERS, ask, drop_cookie, has_session, is_secure, render, set_cookie
from modelyard.console.sessions import login_page, pass_on, password_page
from modelyard.domain.hosts import port_of
from modelyard.errors import Forbidden, ModelyardError, NotFound, Unauthorized
from modelyard.protocol.browsers import cookie_at, own_origin, place_asked
from modelyard.protocol.routes import APP_COOKIE, CONSOLE, ENTRANCE, ENTRY_COOKIE

if TYPE_CHECKING:
    from modelyard.sdk.in_process import InProcess

ENTRY = f"{CONSOLE}/entrance"
NEXT_LENGTH_MAX = 300


def routes(yard: "Callable[[], InProcess]") -> list[BaseRoute]:
    async def let_through(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "") for name in ("host", "next", "state")}
        again = f"{ENTRY}?{urlencode({**asked, 'again': '1'}, quote_via=quote, safe='')}"
        if not has_session(request):
            if "again" in request.query_params:
                return await login_page(request, yard(), again, "")
            return pass_on(again, "the login")
        try:
            entry = await ask(
                request, yard(), lambda client: client.access.make_entry(asked["host"], asked["state"]), own_page=True
            )
        except Unauthorized:
            return await login_page(request, yard(), again, "This browser's session is over.")
        except Forbidden:
            return RedirectResponse(password_page(again), 303, headers=HEADERS)
        except ModelyardError as error:
            status = 404 if isinstance(error, NotFound) else 400
            return render("missing.html", {"message": error.message, "hint": error.hint}, status)
        back = urlencode({"code": entry.code, "next": next_of(asked["next"])})
        return pass_on(f"{_at(request, asked['host'])}{ENTRANCE}/enter?{back}", asked["host"])

    async def enter(request: Request) -> Response:
        """At the app's origin."""
        code = request.query_params.get("code", "")
        try:
            opened = await ask(request, yard(), lambda client: client.access.take_entry(code), own_page=True)
        except ModelyardError:
            # Used already, or too old: the app sends them to the login again, which they pass unseen.
            return RedirectResponse(next_of(request.query_params.get("next", "")), 303, headers=HEADERS)
        target = f"{ENTRANCE}/entered?{urlencode({'next': next_of(request.query_params.get('next', ''))})}"
        response = RedirectResponse(target, 303, headers=HEADERS)
        set_cookie(request, response, _cookie_here(request, APP_COOKIE), opened.session, opened.seconds, lax=True)
        kept = _cookie_here(request, ENTRY_COOKIE)
        response.delete_cookie(kept, path=f"{ENTRANCE}/", secure=is_secure(request), httponly=True)
        return response

    async def leave(request: Request) -> Response:
        """At the app's origin."""
        with contextlib.suppress(NotFound):
            await ask(request, yard(), _leave, own_page=True)
        response = render("missing.html", {"message": "You are signed out here.", "hint": None})
        drop_cookie(request, response, _cookie_here(request, APP_COOKIE))
        return response

    return [
        Route(ENTRY, let_through),
        Route(f"{ENTRANCE}/enter", enter),
        Route(f"{ENTRANCE}/leave", leave, methods=["POST"]),
    ]


def next_of(asked: str) -> str:
    """Where to go on at the same origin; its beginning where that leads elsewhere."""
    plain = asked.isascii() and asked.isprintable() and "\\" not in asked and len(asked) <= NEXT_LENGTH_MAX
    return asked if plain and asked.startswith("/") and not asked.startswith("//") else "/"


def _cookie_here(request: Request, name: str) -> str:
    return cookie_at(name, port_of(place_asked(request.headers)))


def _at(request: Request, host: str) -> str:
    """The origin of an app: the yard has said that it has one at `host`, and it is at its own port, or at the one that
    this came to, so that no code is ever carried to somebody else's."""
    own = urlsplit(own_origin(request.headers))
    has_port = port_of(host) is not None or own.port is None
    return f"{own.scheme}://{host.lower()}" + ("" if has_port else f":{own.port}")


def _leave(client: Any) -> None:
    client.access.leave_entry()
