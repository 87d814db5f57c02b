"""What every page does: ask the yard as the browser would, and leave with a policy that lets nothing else in."""

import asyncio
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from modelyard.console import formats
from modelyard.console.coordinates import RANKS
from modelyard.console.places import place_of
from modelyard.console.static import address
from modelyard.protocol.browsers import own_origin, presented_session
from modelyard.protocol.routes import CONSOLE, PLACE
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelyard.sdk.in_process import InProcess

_AnswerT = TypeVar("_AnswerT")

FORM_BYTES_MAX = 256 * 2**10
"""Of what is typed into a form."""
FIELDS_MAX = 100
FILES_MAX = 500
"""Of one form."""

PAGES_AT_ONCE = 16
"""That are made at the same time; others wait for their turn."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# Not `no-referrer`: with it a form's request would not say that it comes from a page of ours.
HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_TAKEN_ALONG = ("cookie", "origin", "user-agent", "x-forwarded-for", "x-forwarded-proto", PLACE)
"""Headers of the browser's request that the yard is asked with: who it is, where it is, which page it comes from, which
origin it asked."""


async def ask(
    request: Request, yard: "InProcess", question: Callable[[Client], _AnswerT], *, own_page: bool = False
) -> _AnswerT:
    """Asks the yard as the browser would that sent `request`. `own_page` says that what is asked changes something only
    for whoever asks, so that it may begin with a link."""
    headers = {name: request.headers[name] for name in _TAKEN_ALONG if name in request.headers}
    if own_page:
        headers["origin"] = own_origin(request.headers)

    def answer() -> _AnswerT:
        with yard.client(own_origin(request.headers), headers) as client:
            return question(client)

    # Threads of the pages' own: those of the framework and of the loop answer what a page asks, and must not all be
    # waiting for themselves.
    return await asyncio.get_running_loop().run_in_executor(_threads(), answer)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PAGES_AT_ONCE, "page")


def has_session(request: Request) -> bool:
    return presented_session(request.headers) is not None


def is_secure(request: Request) -> bool:
    return request.headers.get("x-forwarded-proto") == "https"


def cookie_name(request: Request, name: str) -> str:
    """Over TLS one that only this host can set, and only over TLS."""
    return f"__Host-{name}" if is_secure(request) else name


def set_cookie(
    request: Request, response: Response, name: str, value: str, seconds: float, *, lax: bool = False
) -> None:
    """From here on the browser has a cookie that no script can use, and no other site. `lax` sends it along, too, where
    another site leads the browser to one of our pages."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=int(seconds),
        path="/",
        httponly=True,
        samesite="lax" if lax else "strict",
        secure=is_secure(request),
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(cookie_name(request, name), path="/", secure=is_secure(request), httponly=True)


def render(template: str, values: dict[str, Any], status: int = 200) -> Response:
    """A page that is made where it is asked for: one that is small, and the same for everybody."""
    return HTMLResponse(page_text(template, values), status, HEADERS)


def page_text(template: str, values: dict[str, Any]) -> str:
    return _templates().get_template(template).render(values)


async def read_form(request: Request, limit_bytes: int = FORM_BYTES_MAX) -> dict[str, list[str]]:
    """What was filled in, by field; nothing where it is longer than anybody fills in."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            return {}
    return await asyncio.to_thread(parse_qs, body.decode("utf-8", "replace"), keep_blank_values=True)


async def read_files(request: Request) -> tuple[dict[str, list[str]], dict[str, bytes]]:
    """A form that may have files: what was filled in, and the files by name. How long it may be, the interface's limit
    for bodies says."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return await read_form(request), {}
    fields: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=FORM_BYTES_MAX) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                # Lines of a form end as those of a mail do.
                fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
            elif value.filename:
                files[value.filename] = await value.read()
    return fields, files


@cache
def _templates() -> "Environment":
    # An idle yard has no page to render.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader("modelyard.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    words: dict[str, Any] = {
        "console": CONSOLE,
        "address": address,
        "tone": formats.tone,
        "place_of": place_of,
        "coordinate_ranks": RANKS,
    }
    made.globals.update(words)
    filters: dict[str, Callable[..., Any]] = {
        "ago": formats.ago,
        "until": formats.until,
        "duration": formats.duration,
        "size": formats.size,
        "figure": formats.number,
        "seconds": formats.seconds_text,
        "percent": formats.percent,
        "first_line": formats.first_line,
        "took": formats.took,
        "policy": formats.policy_text,
        "part": partial(quote, safe=""),
        "shell": shlex.quote,
    }
    made.filters.update(filters)
    return made
