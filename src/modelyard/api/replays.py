"""Replays: captured requests of an endpoint, sent to a candidate that takes no others, and both answers compared."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import StreamingResponse

from modelyard.api.candidates import Candidate, candidate_for
from modelyard.api.captures import Records, captured_records
from modelyard.api.deployments import EndpointResource, ModelSource, Strict, endpoint_spec
from modelyard.api.moments import moment
from modelyard.api.permissions import check_role, guarded
from modelyard.api.yard import Yard
from modelyard.domain.access import Role
from modelyard.domain.captures import decoded
from modelyard.domain.endpoints import Endpoint, EndpointSpec
from modelyard.domain.models import parse_model_reference
from modelyard.domain.replays import (
    CONCURRENCY_MAX,
    REQUESTS_DEFAULT,
    REQUESTS_MAX,
    TOLERANCE,
    Answer,
    Report,
    Tally,
    report_document,
)
from modelyard.errors import InvalidValue, ModelyardError, NotFound
from modelyard.packaging.package import read_document, with_model
from modelyard.protocol.errors import error_body
from modelyard.protocol.routes import ENDPOINTS, INVOCATIONS

if TYPE_CHECKING:
    import httpx

PROGRESS_SECONDS = 1.0
CONNECT_SECONDS = 5.0
GRACE_SECONDS = 5.0
"""Beyond the candidate's own time for an answer."""

ANSWER_BYTES_MAX = 8 * 2**20
"""A longer answer of the candidate's is none."""

IGNORED_MAX = 100


FieldName = Annotated[str, Field(min_length=1, max_length=256)]


class Against(Strict):
    """What captured requests are sent to: exactly one of these."""

    model: ModelSource | None = None
    """A model in place of the endpoint's own, with the endpoint's predictor and settings."""
    version: Annotated[int | None, Field(ge=1)] = None
    """A version of the endpoint that is remembered."""
    package: str | None = None
    """Digest of a package, with the endpoint's settings."""
    resource: EndpointResource | None = None
    """An endpoint as a deployment has it, with its own settings."""


class Replay(Strict):
    against: Against
    since: Annotated[str, Field(max_length=64)] = "24h"
    until: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[int | None, Field(ge=0)] = None
    """Only what this version answered."""
    limit: Annotated[int, Field(ge=1, le=REQUESTS_MAX)] = REQUESTS_DEFAULT
    """At most so many requests, the newest."""
    concurrency: Annotated[int, Field(ge=1, le=CONCURRENCY_MAX)] = 1
    tolerance: Annotated[float, Field(ge=0, le=1)] = TOLERANCE
    """Relative difference of two numbers that still counts as equal."""
    ignore: Annotated[list[FieldName], Field(max_length=IGNORED_MAX, default_factory=list[str])]
    """Fields of answers that do not count, such as `timestamp` or `predictions[].id`."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "replays")

    @router.post("/endpoints/{name}/replays", response_class=StreamingResponse)
    def replay(name: str, asked: Replay) -> StreamingResponse:
        """JSON Lines: `{"state", "done"}` as it goes on, `{"report"}` or `{"error"}` at the end. The candidate is gone
        when the answer has ended, also where nobody waits for it any more."""
        endpoint = yard.store.endpoints.get(name)
        moment(asked.since, yard.clock.now())
        spec, what = _candidate_spec(yard, endpoint, asked.against)
        candidate = candidate_for(yard, endpoint.name, endpoint.project, spec)
        running = _Running(yard, candidate, endpoint.name, asked, what)
        return StreamingResponse(running.lines(), media_type="application/x-ndjson")

    return router


def _candidate_spec(yard: Yard, endpoint: Endpoint, against: Against) -> tuple[EndpointSpec, str]:
    """(what to try, what it is called). Raises InvalidValue, NotFound, and as packages are built."""
    given = [name for name in type(against).model_fields if getattr(against, name) is not None]
    if len(given) != 1:
        raise InvalidValue("cannot tell against what to replay", f"give one of {', '.join(Against.model_fields)}")
    present = endpoint.governing.spec
    if against.resource is not None:
        resource = against.resource.model_copy(update={"name": endpoint.name})
        return endpoint_spec(yard, resource), against.resource.name
    if against.version is not None:
        version = endpoint.version(against.version)
        if version is None:
            known = ", ".join(str(one.number) for one in endpoint.versions)
            raise NotFound(f"cannot find version {against.version} of endpoint {endpoint.name}", f"there are {known}")
        return version.spec, f"version {version.number}"
    if against.package is not None:
        read_document(yard.artifacts, against.package)
        return replace(present, package=against.package, model=None), f"package {against.package[:12]}"
    assert against.model is not None
    return _with_model(yard, present, against.model)


def _with_model(yard: Yard, present: EndpointSpec, source: ModelSource) -> tuple[EndpointSpec, str]:
    if source.reference is None:
        package = with_model(yard.artifacts, present.package, str(source.tree), framework=source.framework)
        return replace(present, package=package, model=None), "a model file"
    found = yard.store.models.resolve(parse_model_reference(source.reference))
    check_role(Role.VIEWER, found.project, f"model/{found.model}", "replay against the model")
    package = with_model(
        yard.artifacts,
        present.package,
        found.tree,
        name=found.model,
        version=found.version,
        framework=source.framework or found.framework,
    )
    called = f"{found.model}:{found.version}"
    return replace(present, package=package, model=called), called


@dataclass(slots=True)
class _Running:
    """One replay, from the candidate's start to its end."""

    yard: Yard
    candidate: Candidate
    endpoint: str
    asked: Replay
    what: str

    async def lines(self) -> AsyncIterator[bytes]:
        try:
            yield _line({"state": f"starting {self.what} as {self.candidate.name}", "done": 0})
            await asyncio.to_thread(self.candidate.wish)
            await self.candidate.ready()
            async for document in self._replayed():
                yield _line(document)
        except ModelyardError as error:
            yield _line(dict(error_body(error, "")))
        finally:
            # Not in a thread: whoever is cancelled may wait for nothing more.
            self.candidate.delete()

    async def _replayed(self) -> AsyncIterator[dict[str, Any]]:
        tally = Tally(self.endpoint, self.what, self.asked.tolerance, self.asked.ignore)
        working = asyncio.create_task(self._send_all(tally))
        try:
            while not working.done():
                await asyncio.wait([working], timeout=PROGRESS_SECONDS)
                yield {"state": f"asking {self.what}", "done": tally.report.requests}
        finally:
            working.cancel()
        report: Report = await working
        if not report.requests:
            raise NotFound(
                f"cannot replay: endpoint {self.endpoint} has no captured requests of that time with their answers",
                "`capture: {sample: 1}` in its yard file keeps them; they show within some seconds",
            )
        yield {"report": report_document(report)}

    async def _send_all(self, tally: Tally) -> Report:
        import httpx  # noqa: PLC0415 (an idle control process does without it)

        waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(self.asked.concurrency)
        transport = httpx.AsyncHTTPTransport(uds=str(self.yard.home.predictions_socket))
        limits = httpx.Timeout(self.candidate.spec.timeout_seconds + GRACE_SECONDS, connect=CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self.asked.concurrency):
                group.create_task(self._send(client, waiting, tally))
            async for record in self._records():
                await waiting.put(record)
            for _ in range(self.asked.concurrency):
                await waiting.put(None)
        return tally.finish()

    async def _records(self) -> AsyncIterator[dict[str, Any]]:
        asked = Records(self.asked.since, self.asked.until, self.asked.limit, self.asked.version)
        rest = b""
        async for piece in captured_records(self.yard, self.endpoint, asked):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield json.loads(line)

    async def _send(
        self, client: "httpx.AsyncClient", waiting: "asyncio.Queue[dict[str, Any] | None]", tally: Tally
    ) -> None:
        while (record := await waiting.get()) is not None:
            sent, given = decoded(record, "input"), decoded(record, "output")
            if sent is None or given is None or record["status"] >= 500:
                tally.skip()
                continue
            began = self.yard.clock.monotonic()
            answered = await self._ask(client, record, sent)
            seconds = self.yard.clock.monotonic() - began
            before = Answer(int(record["status"]), str(record["output_type"] or ""), given)
            tally.add(record, sent, before, answered, seconds)

    async def _ask(self, client: "httpx.AsyncClient", record: dict[str, Any], sent: bytes) -> Answer | None:
        """What the candidate answers; None for nothing, or for more than is read."""
        import httpx  # noqa: PLC0415 (see `_send_all`)

        headers = {"accept": str(record["output_type"] or "*/*").partition(";")[0]}
        if record["input_type"]:
            headers["content-type"] = str(record["input_type"])
        path = f"{ENDPOINTS}{self.candidate.name}{INVOCATIONS}"
        body = b""
        try:
            async with client.stream("POST", path, content=sent, headers=headers) as response:
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        return None
                return Answer(response.status_code, response.headers.get("content-type", ""), body)
        except httpx.HTTPError:
            return None


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
