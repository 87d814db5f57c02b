"""Coming in and going out: the login, the password that must be changed, the one-time link, signing out."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.console.asking import HEADERS, ask, drop_cookie, read_form, render, set_cookie
from modelyard.errors import ModelyardError, Unauthorized
from modelyard.protocol.routes import CONSOLE, LOGIN, MLFLOW, NEXT_LENGTH_MAX, SESSION_COOKIE

if TYPE_CHECKING:
    from modelyard.protocol.views_of_access import OpenedView
    from modelyard.sdk.in_process import InProcess

PASSWORD = f"{CONSOLE}/password"
LOGOUT = f"{CONSOLE}/logout"
ENTER = f"{CONSOLE}/enter"

FORM_BYTES_MAX = 16 * 2**10


def routes(yard: "Callable[[], InProcess]") -> list[BaseRoute]:
    async def login(request: Request) -> Response:
        if request.method != "POST":
            return await login_page(request, yard(), next_page(request.query_params.get("next", "")))
        form = await _form(request)
        target = next_page(form.get("next", ""))
        try:
            opened = await ask(
                request, yard(), lambda client: client.access.sign_in(form.get("email", ""), form.get("password", ""))
            )
        except ModelyardError as error:
            reason = f"{error.message}. {error.hint or ''}"
            return await login_page(request, yard(), target, reason, form.get("email", ""))
        return _let_in(request, opened, password_page(target) if opened.must_change_password else target)

    async def password(request: Request) -> Response:
        if request.method != "POST":
            return await _password_page(request, yard(), next_page(request.query_params.get("next", "")))
        form = await _form(request)
        target = next_page(form.get("next", ""))
        if form.get("new") != form.get("again"):
            return await _password_page(request, yard(), target, "The new password is not twice the same.")
        try:
            opened = await ask(
                request, yard(), lambda client: client.access.change_password(form.get("old", ""), form.get("new", ""))
            )
        except ModelyardError as error:
            return await _password_page(request, yard(), target, f"{error.message}. {error.hint or ''}")
        return _let_in(request, opened, target)

    async def enter(request: Request) -> Response:
        token = request.query_params.get("token", "")
        try:
            opened = await ask(request, yard(), lambda client: client.access.open_session(token))
        except Unauthorized:
            reason = "This link was used already, or is older than a minute."
            return await login_page(request, yard(), CONSOLE, reason)
        return _let_in(request, opened, CONSOLE)

    async def logout(request: Request) -> Response:
        try:
            elsewhere = await ask(request, yard(), lambda client: client.access.sign_out())
        except Unauthorized:
            elsewhere = None
        # A form may not lead to another site, by the policy of its page; a page of ours goes on to it.
        response = go_on(elsewhere) if elsewhere else RedirectResponse(LOGIN, 303, headers=HEADERS)
        drop_cookie(request, response, SESSION_COOKIE)
        return response

    return [
        Route(LOGIN, login, methods=["GET", "POST"]),
        Route(PASSWORD, password, methods=["GET", "POST"]),
        Route(LOGOUT, logout, methods=["POST"]),
        Route(ENTER, enter),
    ]


def next_page(asked: str) -> str:
    """Where to go after the login: a page of this console or of the tracking server, and nothing else, so that no link
    can lead elsewhere."""
    plain = asked.isascii() and asked.isprintable() and "\\" not in asked and len(asked) <= NEXT_LENGTH_MAX
    inside = asked == CONSOLE or asked.startswith((f"{CONSOLE}/", f"{CONSOLE}?", f"{MLFLOW}/"))
    return asked if plain and inside and "//" not in asked and "/.." not in asked else CONSOLE


def password_page(target: str) -> str:
    """Where a password is changed by somebody who was on the way to another page, and goes on to it."""
    return PASSWORD if target == CONSOLE else f"{PASSWORD}?{urlencode({'next': target})}"


async def login_page(
    request: Request, yard: "InProcess", target: str, reason: str | None = None, email: str = ""
) -> Response:
    """`reason` is why somebody sees it who asked for something else; empty where none has to be told."""
    buttons = await ask(request, yard, lambda client: client.access.buttons())
    values = {"reason": reason, "next": target, "email": email, "login": LOGIN, "providers": buttons}
    return render("login.html", values, 200 if reason is None else 401)


async def _password_page(request: Request, yard: "InProcess", target: str, reason: str | None = None) -> Response:
    try:
        me = await ask(request, yard, lambda client: client.access.me())
    except Unauthorized:
        return await login_page(request, yard, target)
    values = {"reason": reason, "me": me, "password": PASSWORD, "next": target}
    return render("password.html", values, 400 if reason else 200)


def _let_in(request: Request, opened: "OpenedView", target: str) -> Response:
    return with_session(request, RedirectResponse(target, 303, headers=HEADERS), opened)


def pass_on(target: str, name: str) -> Response:
    """A page that goes on by itself: the browser sends our cookie with what a page of ours begins, and not with what
    another site's link did."""
    return render("passing.html", {"target": target, "host": name})


def go_on(url: str) -> Response:
    return render("go_on.html", {"url": url})


def with_session(request: Request, response: Response, opened: "OpenedView") -> Response:
    set_cookie(request, response, SESSION_COOKIE, opened.session, opened.seconds)
    return response


async def _form(request: Request) -> dict[str, str]:
    fields = await read_form(request, FORM_BYTES_MAX)
    return {name: values[0] for name, values in fields.items()}
