"""`/v2`: what clients of the Open Inference Protocol ask about models. Inferences take the gateway's fast lane, and so
does the question whether a model is ready.

    GET   /v2/models/NAME[/versions/N]           metadata: inputs and outputs
    GET   /v2/models/NAME[/versions/N]/config    Triton's model configuration, as far as it is the same thing
    POST  /v2/repository/index                   every model, as Triton's extension lists them

The gateway has checked who asks: whoever may predict may ask this too. Errors are `{"error": text}`.
"""

import asyncio
import json
import logging
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from modelyard.domain.endpoints import Endpoint, EndpointState, EndpointStatus
from modelyard.domain.names import NAME_LENGTH_MAX, name_key
from modelyard.domain.splitters import TrafficSplitter, member_for
from modelyard.doors.splitters import splitter_named
from modelyard.errors import InvalidValue, ModelyardError, NotFound
from modelyard.protocol.routes import REQUEST_ID, TENSORS
from modelyard.store.ports import Store

STATUSES: dict[str, int] = {"invalid_value": 400, "not_found": 404}
"""Every other error of ours is 500."""

PLATFORM = "modelyard"

_MODEL = re.compile(rf"{TENSORS}/models/([A-Za-z0-9-]{{1,{NAME_LENGTH_MAX}}})(?:/versions/([^/]+))?(/config)?/?")
_INDEX = f"{TENSORS}/repository/index"

_log = logging.getLogger("modelyard.control")


class OipDoor:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._endpoints = store.endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            found = await asyncio.to_thread(self._answer, request.method, request.url.path)
        except ModelyardError as error:
            response = _refusal(request, error)
        else:
            response = JSONResponse(found)
        await response(scope, receive, send)

    def _answer(self, method: str, path: str) -> Any:
        if path == _INDEX and method == "POST":
            return self._index()
        match = _MODEL.fullmatch(path)
        if match is None or method != "GET":
            raise NotFound(f"cannot {method} {path[:200]}", "inferences are posted to /v2/models/NAME/infer")
        splitter = splitter_named(self._store, match[1])
        if splitter is not None:
            return self._split(match[1], splitter, match[2], config=bool(match[3]))
        endpoint = self._endpoints.get(match[1])
        seen = self._endpoints.status(endpoint.name)
        serving = seen.serving_version if seen is not None else None
        if match[2] is not None and match[2] != str(serving):
            raise NotFound(f"cannot find version {match[2]} of {endpoint.name}", f"version {serving} serves")
        return _config(endpoint, seen) if match[3] else _metadata(endpoint, seen)

    def _split(self, name: str, splitter: TrafficSplitter, variant: str | None, *, config: bool) -> dict[str, Any]:
        """Members of a splitter are versions to a client of this protocol; they are all asked the same."""
        member = member_for(splitter, variant, name)
        endpoint = self._endpoints.get(member.endpoint)
        seen = self._endpoints.status(endpoint.name)
        if config:
            return {**_config(endpoint, seen), "name": name}
        versions = [one.variant for one in splitter.members if not one.shadow]
        return {**_metadata(endpoint, seen), "name": name, "versions": versions}

    def _index(self) -> list[dict[str, str]]:
        statuses = self._endpoints.statuses()
        return [_listed(one, statuses.get(name_key(one.name))) for one in self._endpoints.select()]


def _tensors(seen: EndpointStatus | None) -> dict[str, list[dict[str, Any]]]:
    described: dict[str, Any] = json.loads(seen.description) if seen is not None and seen.description else {}
    found: dict[str, list[dict[str, Any]]] = described.get("tensors") or {}
    return {side: found.get(side) or [] for side in ("inputs", "outputs")}


def _versions(seen: EndpointStatus | None) -> list[str]:
    return [str(seen.serving_version)] if seen is not None and seen.serving_version is not None else []


def _metadata(endpoint: Endpoint, seen: EndpointStatus | None) -> dict[str, Any]:
    return {"name": endpoint.name, "versions": _versions(seen), "platform": PLATFORM, **_tensors(seen)}


def _config(endpoint: Endpoint, seen: EndpointStatus | None) -> dict[str, Any]:
    tensors = _tensors(seen)
    return {
        "name": endpoint.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        # The first axis of a shape is the rows' and is in it: what Triton writes as no batching of its own.
        "max_batch_size": 0,
        "input": [_configured(one) for one in tensors["inputs"]],
        "output": [_configured(one) for one in tensors["outputs"]],
    }


def _configured(tensor: dict[str, Any]) -> dict[str, Any]:
    kind = "TYPE_STRING" if tensor["datatype"] == "BYTES" else f"TYPE_{tensor['datatype']}"
    return {"name": tensor["name"], "data_type": kind, "dims": tensor["shape"]}


def _listed(endpoint: Endpoint, seen: EndpointStatus | None) -> dict[str, str]:
    serves = bool(_versions(seen)) and seen is not None and seen.state is not EndpointState.DELETING
    version = _versions(seen)[0] if serves else str(endpoint.wished.number)
    reason = "" if serves or seen is None else seen.sentence
    return {"name": endpoint.name, "version": version, "state": "READY" if serves else "UNAVAILABLE", "reason": reason}


def _refusal(request: Request, error: ModelyardError) -> Response:
    status = STATUSES.get(error.code, 500)
    if status >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
    text = f"{error.message}; {error.hint}" if error.hint else error.message
    document = {"error": text, "request_id": request.headers.get(REQUEST_ID)}
    return JSONResponse(document, 404 if isinstance(error, InvalidValue) else status)
