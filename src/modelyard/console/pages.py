"""Routes of the console: every noun's pages and their buttons, and what stands in a page's place where there is nothing
to show."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from modelyard.clock import Clock
from modelyard.console import (
    alarms,
    apps,
    audit,
    deploying,
    endpoints,
    entrance,
    events,
    functions,
    gateways,
    jobs,
    logins,
    models,
    overview,
    packages,
    people,
    providers,
    resources,
    runs,
    secrets,
    sessions,
    sites,
    starting,
    static,
    surplus,
    training,
    transforming,
)
from modelyard.console.asking import HEADERS, ask, has_session, page_text, read_files, render
from modelyard.console.visits import Action, Page, Visit
from modelyard.errors import Forbidden, ModelyardError, NotFound, Unauthorized
from modelyard.protocol.routes import CONSOLE
from modelyard.protocol.views_of_access import MeView
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from modelyard.sdk.in_process import InProcess

NOUNS = (
    *(overview, endpoints, apps, functions, gateways, sites, deploying, runs, models, jobs, training, transforming),
    # Before the resources: theirs is the page of every kind that has none of its own.
    *(packages, starting, resources, alarms, events, people, providers, secrets, audit, surplus),
)

QUERY_FIELDS_MAX = 200
"""Of the address of a page."""

_log = logging.getLogger("modelyard.control")


def routes(yard: "Callable[[], InProcess]", clock: Clock) -> list[BaseRoute]:
    """`yard` is called within a request, when the application's loop runs and the sdk's HTTP client is first needed."""
    found: list[BaseRoute] = [Route("/", _go_to_console), *static.routes(), *sessions.routes(yard)]
    found += logins.routes(yard)
    found += entrance.routes(yard)
    for noun in NOUNS:
        for page in noun.PAGES:
            found.append(Route(CONSOLE + page.path, _showing(page, yard, clock)))
            found += [
                Route(f"{CONSOLE}{page.path}/{verb}", _doing(page, action, yard, clock), methods=["POST"])
                for verb, action in page.actions.items()
            ]
    return [*found, Route(f"{CONSOLE}/{{rest:path}}", _not_there)]


async def _not_there(request: Request) -> Response:
    """Of an address that no page has. One with a slash too many leads to the page."""
    path = request.url.path.rstrip("/")
    if path != request.url.path:
        return RedirectResponse(f"{path}?{request.url.query}" if request.url.query else path, 307, headers=HEADERS)
    return _instead(NotFound(f"cannot find the page {path[:100]}", "the console begins at /console"), 404)


async def _go_to_console(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
    return RedirectResponse(CONSOLE, 307)


def _showing(page: Page, yard: "Callable[[], InProcess]", clock: Clock) -> Callable[[Request], Any]:
    async def show(request: Request) -> Response:
        return await _page(request, yard(), page, _visit(request, clock), {})

    return show


def _doing(page: Page, action: Action, yard: "Callable[[], InProcess]", clock: Clock) -> Callable[[Request], Any]:
    async def do(request: Request) -> Response:
        fields, files = await read_files(request)
        visit = _visit(request, clock, fields, files)
        try:
            answer = await ask(request, yard(), lambda client: action(client, visit))
        except Unauthorized:
            reason = "This browser's session is over, or the request did not come from a page of this yard."
            return await sessions.login_page(request, yard(), CONSOLE, reason)
        except ModelyardError as error:
            told = {"refused": f"{error.message}. {error.hint or ''}"}
            return await _page(request, yard(), page, visit, told, 409)
        if isinstance(answer, str):
            return RedirectResponse(CONSOLE + answer, 303, headers=HEADERS)
        return await _page(request, yard(), page, visit, answer)

    return do


def _visit(
    request: Request, clock: Clock, form: dict[str, list[str]] | None = None, files: dict[str, bytes] | None = None
) -> Visit:
    try:
        query = parse_qs(request.url.query, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        query = {}  # no page of ours leads to so many
    names = {name: str(value) for name, value in request.path_params.items()}
    return Visit(clock.now(), names, query, form or {}, files or {})


async def _page(
    request: Request, yard: "InProcess", page: Page, visit: Visit, told: dict[str, Any], status: int = 200
) -> Response:
    """A page, or the login that leads to it, or the one that says that there is no such thing or that it is not for
    everybody."""
    target = sessions.next_page(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    if not has_session(request):
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            # Somebody followed a link: whether they have a session shows when a page of ours asks.
            return sessions.pass_on(target, "the console")
        return await sessions.login_page(request, yard, target, "")

    def make(client: Client) -> str:
        me = client.access.me()
        values = {"refused": None, "made": None, "now": visit.now, "visit": visit, **_frame(me, page)}
        return page_text(page.template, {**values, **page.content(client, visit), **told})

    try:
        return HTMLResponse(await ask(request, yard, make), status, HEADERS)
    except Unauthorized:
        return await sessions.login_page(request, yard, target, "This browser's session is over.")
    except Forbidden as error:
        me = await ask(request, yard, lambda client: client.access.me())
        return _to_password(target) if me.must_change_password else _not_for(me, error)
    except Exception as error:  # noqa: BLE001 (people are told in a page, whatever it was)
        return _failed(request, error)


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, ModelyardError):
        return _instead(error, 404 if isinstance(error, NotFound) else 400)
    _log.error("console: cannot show %s", request.url.path, exc_info=error)
    mistake = ModelyardError("cannot show this page: the yard made a mistake", "its log, log/control.log, has more")
    return _instead(mistake, 500)


def _instead(error: ModelyardError, status: int) -> Response:
    return render("missing.html", {"message": error.message, "hint": error.hint}, status)


def _not_for(me: MeView, error: ModelyardError) -> Response:
    return render("not_for.html", {"me": me, "message": error.message, "hint": error.hint}, 403)


def _to_password(target: str) -> Response:
    return RedirectResponse(sessions.password_page(target), 303, headers=HEADERS)


def _frame(me: MeView, page: Page) -> dict[str, Any]:
    """What stands around every page: who is here, what they may do anywhere, which part of the console it is."""
    everywhere = {one.role for one in me.grants if not (one.project or one.resource)}
    anywhere = {one.role for one in me.grants}
    return {
        "who": me.id or "the owner",
        "is_admin": "admin" in everywhere,
        "is_deployer": bool(anywhere & {"admin", "deployer"}),
        "part": page.path.split("/")[1] if page.path else "",
    }
