"""`/mlflow`: MLflow's own server, behind the yard's key.

    /mlflow/api/...           what MLflow's clients ask (their tracking URI is URL/mlflow)
    /mlflow/...               its pages and what they ask

The server is started by the first request, which waits for it; so does everything after it while it restarts. Bodies
are streamed both ways. A client shows the yard's key (bearer, or HTTP basic with user `yard`), a training's script the
token of its job, a browser the session of the console. None of that goes further: the server behind listens where only
this user's processes reach it, or at the address that `MODELYARD_MLFLOW_URL` names.
"""

import asyncio
import hashlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from modelyard.domain.access import Principal, PrincipalKind, Role, allows
from modelyard.domain.disk import Disk, check_room
from modelyard.domain.job_tokens import run_of
from modelyard.doors.credentials import presented_key
from modelyard.doors.tracking_server import TrackingServer, Unready
from modelyard.errors import Forbidden, ModelyardError, NotFound, Unauthorized
from modelyard.protocol.browsers import SAFE_METHODS, is_own, presented_session
from modelyard.protocol.routes import LOGIN, MLFLOW
from modelyard.store.ports import Keys, Runs

STATUSES: dict[str, tuple[int, str]] = {
    "unauthorized": (401, "UNAUTHENTICATED"),
    "forbidden": (403, "PERMISSION_DENIED"),
    "not_found": (404, "RESOURCE_DOES_NOT_EXIST"),
    "no_room": (507, "RESOURCE_EXHAUSTED"),
    "not_ready": (503, "TEMPORARILY_UNAVAILABLE"),
    "start_failed": (503, "TEMPORARILY_UNAVAILABLE"),
}
"""Status and MLflow's word for it. Every other error of ours is 500, INTERNAL_ERROR."""

RETRY_AFTER_SECONDS = 5

_JOB_PATHS = re.compile(
    rf"{MLFLOW}/api/\d\.\d/(mlflow/(experiments|runs|metrics|logged-models|registered-models|model-versions|traces"
    rf"|server-info)(/|$)|mlflow-artifacts/artifacts(/|$))"
)
"""What the token of a job opens: what a script that trains has reason to ask."""

_READS = re.compile(r"/(search|search-datasets|get-[a-z-]+|batchGet|graphql)$")
"""Ends of paths that are asked with POST and change nothing."""

_REGISTRY_FILES = re.compile(rf"{MLFLOW}/(ajax-)?api/\d\.\d/mlflow-artifacts/artifacts/registry(/|$)")
"""Files of registered versions, which never change."""

_NOT_HANDED_ON = frozenset(
    {
        "authorization",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
    }
)
_NOT_HANDED_BACK = frozenset({"connection", "keep-alive", "transfer-encoding", "set-cookie", "date", "server"})

_STARTING = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>MLflow</title>
<p style="font: 1rem sans-serif; margin: 3rem">{sentence}. This page opens it when it is there.</p>"""

_log = logging.getLogger("modelyard.control")


class MlflowDoor:
    """`key` reads the yard's key, `now` the time; `begin_run` makes sure that the tracking server has a job's run."""

    def __init__(
        self,
        server: TrackingServer,
        keys: Keys,
        runs: Runs,
        key: Callable[[], str],
        disk: Callable[[], Disk],
        begin_run: Callable[[str], None],
    ) -> None:
        self._server = server
        self._keys = keys
        self._runs = runs
        self._key = key
        self._disk = disk
        self._begin_run = begin_run
        self._begun: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ModelyardError as error:
            response = _refusal(request, error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            job = await asyncio.to_thread(self._check, request)
        except Unauthorized:
            if not _is_page(request) or presented_key(request.headers) is not None:
                raise
            return RedirectResponse(f"{LOGIN}?next={MLFLOW}/", 303, headers={"cache-control": "no-store"})
        path = request.url.path
        if request.method not in SAFE_METHODS:
            if _REGISTRY_FILES.match(path):
                raise Forbidden("cannot change files of a registered version", "register another version")
            check_room(self._disk(), "take it", int(request.headers.get("content-length") or 0))
        if path == MLFLOW:
            return RedirectResponse(f"{MLFLOW}/", 307)
        if _is_page(request) and not self._server.answers():
            self._server.want()
            return _starting_page(self._server.sentence())
        try:
            await self._server.ready()
        except Unready as error:
            if _is_page(request):
                return _starting_page(error.message)
            raise
        if job is not None and job not in self._begun:
            await asyncio.to_thread(self._begin_run, job)
            self._begun.add(job)
        return await self._hand_on(request)

    # -- who may -----------------------------------------------------------------------------------------------------

    def _check(self, request: Request) -> str | None:
        """The run whose job asks, None for a person or a program of theirs. Raises Unauthorized, Forbidden."""
        headers, changes = request.headers, request.method not in SAFE_METHODS
        origin = headers.get("origin")
        if changes and origin is not None and not is_own(origin, headers):
            raise Forbidden(f"cannot {request.method} for a page of {origin[:200]}", "use MLflow's own pages")
        key = presented_key(headers)
        if key is None:
            principal = self._session(headers, may_change=not changes or origin is not None)
            if principal is not None:
                _check_role(principal, request)
                return None
            raise Unauthorized(
                "cannot answer without the yard's key",
                'eval "$(modelyard env mlflow)" gives it to a client; `modelyard open` lets a browser in',
            )
        principal = self._keys.principal(_digest(key), time.time())
        if principal is None or principal.kind is PrincipalKind.USER:
            return self._check_job(key, request.url.path)
        if principal.scopes is not None:
            raise Forbidden(f"cannot answer {principal}", "a script's is in MLFLOW_TRACKING_TOKEN")
        _check_role(principal, request)
        return None

    def _check_job(self, token: str, path: str) -> str:
        run = run_of(self._key(), token)
        if run is None:
            raise Unauthorized("cannot answer: the key is not this yard's", "the right one is in the home's file `key`")
        if self._runs.get(run).ended:
            raise Unauthorized(f"cannot answer: run {run} has ended, and its token with it")
        if not _JOB_PATHS.match(path):
            raise Forbidden(f"cannot open {path[:200]} with the token of a job", "it is for tracking alone")
        return run

    def _session(self, headers: Headers, *, may_change: bool) -> Principal | None:
        found = presented_session(headers)
        return self._keys.principal(_digest(found), time.time()) if found is not None and may_change else None

    # -- handing on --------------------------------------------------------------------------------------------------

    async def _hand_on(self, request: Request) -> Response:
        scope = request.scope
        path: bytes = scope.get("raw_path") or request.url.path.encode()
        query: bytes = scope.get("query_string", b"")
        headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_HANDED_ON]
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        answer = await self._server.ask(
            request.method, path + (b"?" + query if query else b""), headers, request.stream() if has_body else None
        )
        given = [(name, value) for name, value in answer.headers if name not in _NOT_HANDED_BACK]
        response = StreamingResponse(_closing(answer.body, answer.close), answer.status)
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given]
        return response


async def _closing(body: AsyncIterator[bytes], close: Callable[[], Any]) -> AsyncIterator[bytes]:
    try:
        async for chunk in body:
            yield chunk
    finally:
        await close()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_role(principal: Principal, request: Request) -> None:
    """A viewer of the whole yard reads, a deployer of it also writes: experiments belong to no project."""
    reads = request.method in SAFE_METHODS or _READS.search(request.url.path) is not None
    needed = Role.VIEWER if reads else Role.DEPLOYER
    if not allows(principal, needed):
        raise Forbidden(
            f"cannot {request.method}: {principal} is no {needed.word} on the yard", "an admin can grant that"
        )


def _is_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _starting_page(sentence: str) -> Response:
    safe = sentence.replace("&", "&amp;").replace("<", "&lt;")
    return HTMLResponse(_STARTING.format(sentence=safe), 503, headers={"retry-after": "2", "cache-control": "no-store"})


def _refusal(request: Request, error: ModelyardError) -> Response:
    status, word = STATUSES.get(error.code, (500, "INTERNAL_ERROR"))
    if status == 500:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Basic realm="modelyard"'
    if isinstance(error, NotFound):
        # A run that is not there any more has no job that could ask.
        status, word = STATUSES["unauthorized"]
    if status == 503:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return JSONResponse(json.loads(json.dumps({"error_code": word, "message": message})), status, headers)
