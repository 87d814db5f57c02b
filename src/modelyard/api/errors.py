"""THE table: which error has which status here. And the one shape in which every failure leaves."""

import logging
from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from modelyard.errors import Forbidden, InvalidValue, ModelyardError, NotFound, Refused, TooLarge, Unauthorized
from modelyard.protocol.errors import error_body

STATUSES: dict[str, int] = {
    "internal": 500,
    "refused": 400,
    "invalid_value": 400,
    "not_found": 404,
    "ambiguous": 409,
    "conflict": 409,
    "unauthorized": 401,
    "forbidden": 403,
    "too_large": 413,
    "unavailable": 503,
    "queue_full": 503,
    "too_many_requests": 429,
    "not_ready": 503,
    "no_room": 507,
    "deadline_passed": 504,
    "yard_down": 503,
    "broken": 500,
    "replica_died": 502,
    "predictor_failed": 500,
    "start_failed": 500,
    "store_failed": 500,
}

FAULTS_SHOWN_MAX = 5
"""How many faults of one body are named at once."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")

_log = logging.getLogger("modelyard.control")

_ROUTING: dict[int, tuple[type[ModelyardError], str]] = {
    404: (NotFound, "cannot find {method} {path}"),
    405: (Refused, "cannot {method} {path}: this path has other methods"),
    413: (TooLarge, "cannot take the body of {method} {path}: it is too large"),
}
"""What the web framework itself refuses, by its status."""

SHAPE = "shape:"
"""Begins the tag that tells the shapes of a body apart; nobody wrote it, so it is no part of a field's place."""


def respond(error: ModelyardError, request_id: str, status: int | None = None) -> JSONResponse:
    """`error` as a response."""
    headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
    return JSONResponse(error_body(error, request_id), status or STATUSES[error.code], headers)


def request_id_of(request: Request) -> str:
    return cast("str", request.scope["state"]["request_id"])


def handle_errors(app: FastAPI) -> None:
    """Makes every failure of `app` leave in the one shape."""
    app.add_exception_handler(ModelyardError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_routing)
    app.add_exception_handler(Exception, _on_failure)


def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelyardError)
    if STATUSES[error.code] >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
    return respond(error, request_id_of(request))


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return respond(_unread(request, error) or invalid_value(error), request_id_of(request))


def _unread(request: Request, error: RequestValidationError) -> InvalidValue | None:
    """What to say where the body was not read at all, because it says that it is something else: curl's default."""
    kind = request.headers.get("content-type", "")
    if "json" in kind or not kind or not any(one["loc"] == ("body",) for one in error.errors()):
        return None
    return InvalidValue(f"cannot use the body: it is said to be {kind[:80]}", "send `content-type: application/json`")


def _on_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    kind, sentence = _ROUTING.get(status, (Forbidden if status == 403 else Refused, "cannot {method} {path}"))
    told = sentence.format(method=request.method, path=request.url.path)
    hint = "the interface is described at /api/docs" if status in (404, 405) else None
    response = respond(kind(told, hint), request_id_of(request), status)
    if status == 405:
        response.headers["allow"] = ", ".join(_methods_of(request))
    return response


def _methods_of(request: Request) -> list[str]:
    """The methods that the path has; the framework knows only those of the first route that it met."""
    app: FastAPI = request.app
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.router.routes)
    ]


def _on_failure(request: Request, error: Exception) -> Response:
    """A fault of ours; the framework raises it again afterwards, so its traceback is in the log."""
    _log.error("%s %s failed (request %s)", request.method, request.url.path, request_id_of(request), exc_info=error)
    ours = ModelyardError("cannot answer: the yard made a mistake", "its log (log/control.log) has the traceback")
    return respond(ours, request_id_of(request))


def invalid_value(error: RequestValidationError) -> InvalidValue:
    """One sentence that names each field, what is wrong with it, and what was found."""
    faults = [_fault(one) for one in error.errors()]
    shown = "; ".join(faults[:FAULTS_SHOWN_MAX])
    more = f"; and {len(faults) - FAULTS_SHOWN_MAX} more" if len(faults) > FAULTS_SHOWN_MAX else ""
    return InvalidValue(f"cannot use {shown}{more}", "the interface is described at /api/docs")


def _fault(found: dict[str, object]) -> str:
    kind = str(found["type"])
    written = cast("tuple[str | int, ...]", found["loc"])
    place = tuple(part for part in written if not str(part).startswith(SHAPE))
    if kind == "json_invalid":
        return f"the body: it is not JSON (at character {place[-1]})"
    where = ".".join(str(part) for part in place[1:]) or "the body"
    if kind == "extra_forbidden":
        return f"{where}: there is no such field"
    if kind == "missing":
        return f"{where}: it is missing"
    message = str(found["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: {message}"
