"""Functions on the fast lane: an event in, a result or an error in Lambda's shape out.

Two doors lead here. At `/functions/NAME` a failure has a status that says so: 500 where the handler raised, 504 where
its time was over, 429 beyond its concurrency. Lambda's own clients, at `/2015-03-31/functions/NAME/invocations`, are
told what Lambda tells them: 200 and `X-Amz-Function-Error` for whatever the function did wrong.
"""

import json
from enum import Enum
from typing import Any, NamedTuple

from modelyard.errors import InvalidValue, ModelyardError, NotFound
from modelyard.gateway.answers import status_line, status_of
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.service import Service
from modelyard.protocol.errors import error_body
from modelyard.protocol.table import FUNCTION

FUNCTION_ERROR = b"x-amz-function-error"
_WAY = b"x-amz-invocation-type"
_BY_FUNCTION = {"deadline_passed": "Sandbox.Timedout", "replica_died": "Runtime.ExitError"}
"""What is the function's own fault, by the code of our error, with Lambda's word."""


class Face(NamedTuple):
    status: int
    type: str


_FACES: dict[str, Face] = {
    "invalid_value": Face(400, "InvalidRequestContentException"),
    "unauthorized": Face(403, "AccessDeniedException"),
    "forbidden": Face(403, "AccessDeniedException"),
    "not_found": Face(404, "ResourceNotFoundException"),
    "conflict": Face(409, "ResourceConflictException"),
    "too_large": Face(413, "RequestTooLargeException"),
    "too_many_requests": Face(429, "TooManyRequestsException"),
    "queue_full": Face(429, "TooManyRequestsException"),
    "not_ready": Face(502, "ResourceNotReadyException"),
}
"""How an error looks to Lambda's clients."""

_FAULT = Face(500, "ServiceException")


class Way(Enum):
    """How an event is wished to be treated; the values are Lambda's."""

    REQUEST_RESPONSE = "requestresponse"
    EVENT = "event"  # queued; tried again where it fails
    DRY_RUN = "dryrun"  # only whether one may


def invocation_way(fields: dict[bytes, bytes]) -> Way:
    """Raises InvalidValue."""
    given = fields.get(_WAY, b"RequestResponse").decode("latin-1")
    try:
        return Way(given.lower())
    except ValueError as error:
        raise InvalidValue(
            f"cannot invoke with X-Amz-Invocation-Type {given[:40]!r}", "say RequestResponse, Event or DryRun"
        ) from error


def check_is_function(service: Service) -> None:
    """Raises NotFound."""
    if service.entry.kind != FUNCTION:
        raise NotFound(f"cannot invoke {service.name}: it is an endpoint, not a function", "post to /endpoints/NAME")


def function_error(
    error: ModelyardError, request_id: str, *, by_lambda: bool, status: int | None = None
) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) of an error that the function's handler did not word itself."""
    document: dict[str, Any] = dict(error_body(error, request_id))
    head = b"content-type: application/json\r\n"
    kind = _BY_FUNCTION.get(error.code)
    if kind is not None:
        document |= {"errorMessage": f"RequestId: {request_id} Error: {error.message}", "errorType": kind}
        head += FUNCTION_ERROR + b": Unhandled\r\n"
        if by_lambda:
            return 200, head, json.dumps(document).encode()
    face = _FACES.get(error.code, _FAULT)
    document |= {"Type": "User" if face.status < 500 else "Service", "Message": error.message}
    if face.status == 429:
        document["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
    head += b"x-amzn-errortype: %b\r\n" % face.type.encode()
    return (face.status if by_lambda else status or status_of(error)), head, json.dumps(document).encode()


class Invocation(Prediction):
    """An event for a function."""

    __slots__ = ()

    # What `signed` says of a prediction, whether its client speaks Amazon's protocol, it says here of Lambda's.

    def word(self, error: ModelyardError, predictor_status: int | None = None) -> tuple[int, bytes, bytes]:
        request_id = self.request_id.decode("latin-1")
        return function_error(error, request_id, by_lambda=self.signed, status=predictor_status)

    def _answer_whole(self, status: int, head: bytes, body: bytes) -> None:
        if self.signed and FUNCTION_ERROR in head:
            # A head begins with its status line.
            head = status_line(200) + head.partition(b"\r\n")[2]
        self._finish(status, head, body)
