"""`/endpoints/NAME/async-invocations`: invocations that are queued, for our own clients, SageMaker's and Cortex's.

    POST    .../async-invocations                 202, once it is on disk; `X-Amzn-SageMaker-Inference-Id` names it
    PUT     .../async-invocations/ID              the same with the client's id: 202, and 200 for a repetition
    GET     .../async-invocations/ID[?wait=S]     its status
    GET     .../async-invocations/ID/result       the answer; 202 while there is none
    GET     .../async-invocations/ID/failure      why it failed
    DELETE  .../async-invocations/ID              cancels it

The same under `/aws`. The gateway has checked that whoever asks may predict; who knows an id may read its result. The
body is streamed to the disk, or it is an artifact of the yard, which `X-Amzn-SageMaker-InputLocation` names.
"""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from modelyard.clock import Clock
from modelyard.domain.disk import Disk, check_room
from modelyard.domain.invocations import (
    BODY_BYTES_MAX,
    TIME_TO_LIVE_SECONDS_MAX,
    TIME_TO_LIVE_SECONDS_MIN,
    TIMEOUT_SECONDS_MAX,
    Asynchronous,
    Invocation,
    InvocationRequest,
    InvocationStatus,
    Stored,
    check_id,
)
from modelyard.domain.names import name_key
from modelyard.domain.splitters import member_for
from modelyard.doors.credentials import check_key
from modelyard.doors.splitters import splitter_named
from modelyard.errors import Conflict, Forbidden, InvalidValue, ModelyardError, NotFound, TooLarge
from modelyard.protocol.browsers import SAFE_METHODS, is_own
from modelyard.protocol.errors import error_body
from modelyard.protocol.invocations import FAILURE_PART, RESULT_PART, invocation_path, invocation_view
from modelyard.protocol.routes import REQUEST_ID, TARGET_VARIANT, WEBHOOK
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.group_commit import GroupCommit
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.ports import Accepted, Store

WAIT_SECONDS_MAX = 30.0
"""How long a question for a status may wait for an end."""

_LOOK_SECONDS = (0.02, 0.5)
"""Least and most between two looks while a question waits."""

TERMS_SECONDS = 1.0
"""For so long it is believed that an endpoint is there and what its settings are."""

TERMS_MAX = 1024

WEBHOOK_LENGTH_MAX = 2048
_PREFIX = "x-amzn-sagemaker-"
_PASSED_ON = ("custom-attributes", "target-model", "target-variant", "session-id")
"""SageMaker's headers that the predictor is to see; `inference-id` is passed on as well."""

_PATH = re.compile(r"(/aws)?/endpoints/([A-Za-z0-9-]{1,63})/async-invocations(?:/([^/]+)(/result|/failure)?)?/?")
_ARTIFACT = re.compile(r"artifact://([0-9a-f]{64})")


class Face(NamedTuple):
    status: int
    signed_status: int
    amazon_type: str


FACES: dict[str, Face] = {
    "invalid_value": Face(400, 400, "ValidationError"),
    "unauthorized": Face(401, 400, "ValidationError"),
    "forbidden": Face(403, 400, "ValidationError"),
    "not_found": Face(404, 400, "ValidationError"),
    "conflict": Face(409, 400, "ValidationError"),
    "too_large": Face(413, 413, "ValidationError"),
    "queue_full": Face(503, 503, "ServiceUnavailable"),
    "too_many_requests": Face(429, 429, "ThrottlingException"),
    "no_room": Face(507, 503, "ServiceUnavailable"),
}
"""How an error looks here, by its code; every other is a fault of ours."""

_FAULT = Face(500, 500, "InternalFailure")

_log = logging.getLogger("modelyard.control")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path names."""

    under_aws: bool
    endpoint: str
    id: str | None
    part: str | None


class InvocationsDoor:
    """`wake` tells the dispatcher that something was queued; `disk` says how full the disk is now."""

    def __init__(
        self,
        store: Store,
        artifacts: FileArtifacts,
        files: InvocationFiles,
        clock: Clock,
        disk: Callable[[], Disk],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._files = files
        self._clock = clock
        self._disk = disk
        self._wake = wake
        self._accepting = GroupCommit(store.invocations.accept)
        self._terms: dict[str, tuple[float, str, Asynchronous]] = {}

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
        place = _place(request.url.path)
        _check_origin(request)
        match request.method, place.id, place.part:
            case "POST", None, None:
                return await self._accept(request, place)
            case "PUT", str(), None:
                return await self._accept(request, place)
            case "GET", str(given), None:
                found = await self._wait(place.endpoint, given, _wait_seconds(request))
                return JSONResponse(invocation_view(found))
            case "GET", str(given), part:
                return await self._part(place.endpoint, given, str(part))
            case "DELETE", str(given), None:
                return await self._cancel(place.endpoint, given)
            case _:
                raise NotFound(
                    f"cannot {request.method} {request.url.path[:200]}", "invocations are posted to /async-invocations"
                )

    # -- accepting ---------------------------------------------------------------------------------------------------

    async def _accept(self, request: Request, place: _Place) -> Response:
        given = place.id or request.headers.get(f"{_PREFIX}inference-id")
        inference_id = check_id(given) if given is not None else secrets.token_hex(16)
        wanted = request.headers.get(TARGET_VARIANT)
        endpoint, terms = await self._terms_of(place.endpoint, wanted, inference_id)
        check_room(self._disk(), "queue an invocation", int(request.headers.get("content-length") or 0))
        location = request.headers.get(f"{_PREFIX}inputlocation")
        if location is not None:
            body, content = await asyncio.to_thread(self._linked, location), None
        else:
            body, content = await self._taken(request)
        now = self._clock.now()
        asked = _asked(request, self._with_webhook(request, terms), body, location)
        if name_key(endpoint) != name_key(place.endpoint):
            # Whose turn it is has been decided.
            headers = {name: value for name, value in asked.headers.items() if name != TARGET_VARIANT}
            asked = replace(asked, headers=headers)
        invocation = Invocation(endpoint, inference_id, asked, now, now + asked.time_to_live_seconds, due_at=now)
        accepted = await self._submit(invocation, content)
        self._wake()
        return _accepted(request, accepted)

    async def _submit(self, wanted: Invocation, content: bytes | None) -> Accepted:
        """Only what is surely not accepted loses its file: a caller that goes away meanwhile does not undo a commit."""
        try:
            accepted = await self._accepting.submit((wanted, content))
        except ModelyardError:
            self._files.drop([wanted.request.body.file])
            raise
        if isinstance(accepted, Conflict) or not accepted.is_new:
            self._files.drop([wanted.request.body.file])
        if isinstance(accepted, Conflict):
            raise accepted
        return accepted

    async def _terms_of(self, name: str, variant: str | None, inference_id: str) -> tuple[str, Asynchronous]:
        """(the endpoint's name, how it treats what is queued). Of a splitter, the member whose turn it is, which is the
        same again for the same id. Raises NotFound."""
        key, now = name_key(name), time.monotonic()
        known = self._terms.get(key)
        if known is None or now - known[0] > TERMS_SECONDS:
            splitter = await asyncio.to_thread(splitter_named, self._store, name)
            if splitter is not None:
                return await self._terms_of(member_for(splitter, variant, inference_id).endpoint, None, inference_id)
            found = await asyncio.to_thread(self._store.endpoints.get, name)
            if found.deleting:
                raise NotFound(f"cannot queue an invocation: endpoint {found.name} is being deleted")
            if len(self._terms) >= TERMS_MAX:
                self._terms.clear()
            known = self._terms[key] = (now, found.name, found.governing.spec.asynchronous or Asynchronous())
        return known[1], known[2]

    async def _taken(self, request: Request) -> tuple[Stored, bytes | None]:
        """The body, on disk where it is long. Raises TooLarge."""
        with self._files.writing() as writing:
            async for chunk in request.stream():
                writing.write(chunk)
                if writing.size_bytes > BODY_BYTES_MAX:
                    raise TooLarge(
                        f"cannot queue an invocation: its body is over {BODY_BYTES_MAX} bytes", "send it in parts"
                    )
            file = await asyncio.to_thread(writing.keep) if writing.is_long else None
            stored = Stored(writing.size_bytes, writing.sha256, file)
            return stored, None if file is not None else writing.content()

    def _linked(self, location: str) -> Stored:
        """An artifact as a body. Raises InvalidValue for any other place, NotFound, TooLarge."""
        match = _ARTIFACT.fullmatch(location)
        if match is None:
            raise InvalidValue(
                f"cannot read the input location {location[:200]!r}: only artifacts of this yard are read",
                "send the body itself, or PUT it to /api/v1/artifacts/SHA256 and name artifact://SHA256",
            )
        path = self._artifacts.path(match[1])
        size_bytes = path.stat().st_size
        if size_bytes > BODY_BYTES_MAX:
            raise TooLarge(f"cannot queue an invocation: {location} is over {BODY_BYTES_MAX} bytes")
        return Stored(size_bytes, match[1], self._files.link(path))

    def _with_webhook(self, request: Request, terms: Asynchronous) -> Asynchronous:
        """A webhook of the request's own needs a key: the yard would ask whatever address anybody names."""
        webhook = request.headers.get(WEBHOOK)
        if webhook is None:
            return terms
        check_key(self._store.keys, request.headers, "GET", self._clock.now())
        split = urlsplit(webhook)
        if split.scheme not in ("http", "https") or not split.hostname or len(webhook) > WEBHOOK_LENGTH_MAX:
            raise InvalidValue(f"cannot use webhook {webhook[:200]!r}", "give an address of http or https")
        return Asynchronous(
            terms.time_to_live_seconds,
            terms.timeout_seconds,
            terms.attempts,
            terms.max_concurrency,
            webhook,
            terms.include_result,
        )

    # -- reading and cancelling --------------------------------------------------------------------------------------

    def _find(self, endpoint: str, inference_id: str) -> Invocation:
        """Under a splitter's name, that of whichever member it went to. Raises NotFound."""
        try:
            return self._store.invocations.get(endpoint, inference_id)
        except NotFound:
            splitter = splitter_named(self._store, endpoint)
            for member in splitter.members if splitter is not None else ():
                with contextlib.suppress(NotFound):
                    return self._store.invocations.get(member.endpoint, inference_id)
            raise

    async def _wait(self, endpoint: str, inference_id: str, seconds: float) -> Invocation:
        limit = time.monotonic() + seconds
        pause, most = _LOOK_SECONDS
        while True:
            found = await asyncio.to_thread(self._find, endpoint, inference_id)
            if found.ended or time.monotonic() >= limit:
                return found
            await asyncio.sleep(min(pause, max(0.0, limit - time.monotonic())))
            pause = min(most, pause * 2)

    async def _part(self, endpoint: str, inference_id: str, part: str) -> Response:
        found = await asyncio.to_thread(self._find, endpoint, inference_id)
        if not found.ended:
            return JSONResponse(invocation_view(found), 202, {"retry-after": "1"})
        if part == FAILURE_PART:
            if found.status is InvocationStatus.COMPLETED:
                raise NotFound(f"cannot find a failure of invocation {inference_id}: it is completed")
            return JSONResponse(invocation_view(found))
        result = found.result
        if result is None:
            raise Conflict(
                f"cannot give a result: invocation {inference_id} is {found.status.value}: {found.reason}",
                "`modelyard async redrive` sends a dead letter again",
            )
        headers = {"content-type": result.content_type}
        if result.stored.file is not None:
            return FileResponse(self._files.path(result.stored.file), result.status, headers)
        content = await asyncio.to_thread(self._store.invocations.content, found.sequence, result=True)
        return Response(content, result.status, headers)

    async def _cancel(self, endpoint: str, inference_id: str) -> Response:
        queued = await asyncio.to_thread(self._find, endpoint, inference_id)
        found = await asyncio.to_thread(
            self._store.invocations.cancel, queued.endpoint, inference_id, self._clock.now()
        )
        self._wake()
        return JSONResponse(invocation_view(found), 200 if found.ended else 202)


def _place(path: str) -> _Place:
    """Raises NotFound."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise NotFound(f"cannot find {path[:200]}", "invocations are posted to /endpoints/NAME/async-invocations")
    return _Place(match[1] is not None, match[2], unquote(match[3]) if match[3] is not None else None, match[4])


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None or request.method in SAFE_METHODS:
        return
    if not is_own(origin, request.headers):
        raise Forbidden(f"cannot {request.method} for a page of {origin[:200]}", "use a client, not a foreign page")


def _asked(request: Request, terms: Asynchronous, body: Stored, location: str | None) -> InvocationRequest:
    headers = request.headers
    passed_on = {f"{_PREFIX}{name}": headers.get(f"{_PREFIX}{name}") for name in (*_PASSED_ON, "inference-id")}
    return InvocationRequest(
        body=body,
        content_type=headers.get(f"{_PREFIX}content-type") or headers.get("content-type"),
        accept=headers.get(f"{_PREFIX}accept") or headers.get("accept"),
        headers={name: value for name, value in passed_on.items() if value is not None},
        time_to_live_seconds=_seconds(
            request, "requestttlseconds", terms.time_to_live_seconds, TIME_TO_LIVE_SECONDS_MIN, TIME_TO_LIVE_SECONDS_MAX
        ),
        timeout_seconds=_seconds(request, "invocationtimeoutseconds", terms.timeout_seconds, 1.0, TIMEOUT_SECONDS_MAX),
        attempts=terms.attempts,
        webhook=terms.webhook,
        include_result=terms.include_result,
        input_location=location,
    )


def _seconds(request: Request, name: str, default: float, least: float, most: float) -> float:
    given = request.headers.get(_PREFIX + name)
    if given is None:
        return default
    if not given.isdigit() or not least <= int(given) <= most:
        raise InvalidValue(f"cannot use {_PREFIX}{name} {given[:40]!r}", f"give seconds from {least:g} to {most:g}")
    return float(given)


def _wait_seconds(request: Request) -> float:
    given = request.query_params.get("wait", "0")
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidValue(f"cannot wait for {given[:40]!r}", f"give seconds, at most {WAIT_SECONDS_MAX:g}")
    return min(seconds, WAIT_SECONDS_MAX)


def _accepted(request: Request, accepted: Accepted) -> Response:
    one = accepted.invocation
    path = invocation_path(one.endpoint, one.id)
    origin = f"{request.headers.get('x-forwarded-proto', 'http')}://{request.headers.get('host', 'localhost')}"
    output, failure = f"{origin}{path}{RESULT_PART}", f"{origin}{path}{FAILURE_PART}"
    document = {
        "id": one.id,
        "status": one.status.value,
        "InferenceId": one.id,
        "OutputLocation": output,
        "FailureLocation": failure,
    }
    headers = {
        "location": path,
        f"{_PREFIX}outputlocation": output,
        f"{_PREFIX}failurelocation": failure,
        f"{_PREFIX}inference-id": quote(one.id),
    }
    # SageMaker's clients know 202 alone; a PUT tells whether it was the first.
    return JSONResponse(document, 202 if accepted.is_new or request.method == "POST" else 200, headers)


def _refusal(request: Request, error: ModelyardError) -> Response:
    face = FACES.get(error.code, _FAULT)
    signed = request.url.path.startswith("/aws/") or request.headers.get("authorization", "").startswith("AWS4-")
    status = face.signed_status if signed else face.status
    if face is _FAULT:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
    document: dict[str, Any] = dict(error_body(error, request.headers.get(REQUEST_ID, "")))
    document["Message"] = error.message
    headers = {"x-amzn-errortype": face.amazon_type}
    if status == 503:
        headers["retry-after"] = "1"
    return Response(json.dumps(document), status, headers, "application/json")
