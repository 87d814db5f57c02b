"""Coming in by way of an OpenID provider: off to it, and back."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.console.asking import HEADERS, ask, cookie_name, drop_cookie, set_cookie
from modelyard.console.sessions import go_on, login_page, next_page, password_page, with_session
from modelyard.errors import ModelyardError, Unauthorized
from modelyard.protocol.routes import CONSOLE, LOGIN

if TYPE_CHECKING:
    from modelyard.sdk.in_process import InProcess

COOKIE = "modelyard_login"
"""Of a login under way."""


def routes(yard: "Callable[[], InProcess]") -> list[BaseRoute]:
    async def begin(request: Request) -> Response:
        """Off to the provider; what only this browser knows of it stays in a cookie."""
        provider, target = str(request.path_params["provider"]), next_page(request.query_params.get("next", ""))
        try:
            begun = await ask(request, yard(), lambda client: client.access.begin_login(provider, target))
        except ModelyardError as error:
            return await login_page(request, yard(), target, f"{error.message}. {error.hint or ''}")
        response = RedirectResponse(begun.url, 303, headers=HEADERS)
        # Lax: the provider sends the browser back, which is another site's doing.
        set_cookie(request, response, COOKIE, begun.binding, begun.seconds, lax=True)
        return response

    async def callback(request: Request) -> Response:
        given, provider = request.query_params, str(request.path_params["provider"])
        answer = {
            "code": given.get("code", ""),
            "state": given.get("state", ""),
            "binding": request.cookies.get(cookie_name(request, COOKIE), ""),
            "issuer": given.get("iss"),
        }
        try:
            if "error" in given:
                raise Unauthorized(f"cannot sign in: {provider} says {given['error'][:60]}", "begin again")
            opened = await ask(request, yard(), lambda client: client.access.finish_login(provider, **answer))
        except ModelyardError as error:
            return await login_page(request, yard(), CONSOLE, f"{error.message}. {error.hint or ''}")
        target = next_page(opened.next)
        target = password_page(target) if opened.must_change_password else target
        # Not a redirect: the browser would take it for the provider's doing still, and keep the session's cookie back.
        response = with_session(request, go_on(target), opened)
        drop_cookie(request, response, COOKIE)
        return response

    return [Route(f"{LOGIN}/{{provider}}", begin), Route(f"{LOGIN}/{{provider}}/callback", callback)]
