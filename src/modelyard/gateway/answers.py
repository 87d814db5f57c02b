"""Answers as bytes: status lines, heads that are made once and used again, and errors in the shape of each door.

A prediction's error carries both shapes at once: ours (`error`) and SageMaker's (`Message`, `OriginalStatusCode`, and
the header `x-amzn-errortype`), so boto3's runtime client raises what it raises at SageMaker. Requests that are signed
for AWS, or came under `/aws`, get SageMaker's statuses as well.
"""

import http
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from modelyard.errors import ModelyardError, PredictorFailed
from modelyard.gateway.passing import cookie_of_this_host
from modelyard.protocol.errors import error_body


class Face(NamedTuple):
    """How an error looks at this door."""

    status: int
    signed_status: int
    """For clients that speak SageMaker's runtime protocol."""
    amazon_type: str


_FACES: dict[str, Face] = {
    "invalid_value": Face(400, 400, "ValidationError"),
    "unauthorized": Face(401, 400, "ValidationError"),
    "forbidden": Face(403, 400, "ValidationError"),
    "not_found": Face(404, 400, "ValidationError"),
    "conflict": Face(409, 400, "ValidationError"),
    "too_large": Face(413, 413, "ValidationError"),
    "queue_full": Face(503, 503, "ServiceUnavailable"),
    "too_many_requests": Face(429, 429, "ThrottlingException"),
    "not_ready": Face(503, 429, "ModelNotReadyException"),
    "deadline_passed": Face(504, 424, "ModelError"),
    "replica_died": Face(502, 424, "ModelError"),
    "predictor_failed": Face(500, 424, "ModelError"),
}
"""The one table of this door: an error's code -> how it looks here (protocols.md, sagemaker.md 7.3)."""

_MODEL_ERROR = _FACES["predictor_failed"]
_LOG_STREAM_ARN = "arn:aws:logs:local:000000000000:log-group:/aws/sagemaker/Endpoints/{endpoint}"
"""Shaped as AWS has it, because clients take it apart; `modelyard logs NAME` shows what is in it."""

_INTERNAL = Face(500, 500, "InternalFailure")

RETRY_AFTER_SECONDS = 1
"""What clients are told to wait after a 503."""

ORIGINAL_MESSAGE_BYTES_MAX = 8192
"""Of what a predictor answered with an error, so much is repeated to clients of SageMaker's."""

HEADS_MAX = 256
"""Heads of answers that are kept for use again, of each service."""

_REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b"Status"))


def face_of(code: str) -> Face:
    """How an error of this code looks; what has no line of its own is a fault of ours."""
    return _FACES.get(code, _INTERNAL)


def status_of(error: ModelyardError) -> int:
    return face_of(error.code).status


def plain_error(error: ModelyardError, request_id: str, status: int | None = None) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) in the one shape."""
    body = json.dumps(error_body(error, request_id)).encode()
    return status or status_of(error), b"content-type: application/json\r\n", body


def prediction_error(
    error: ModelyardError, request_id: str, *, signed: bool, predictor_status: int | None = None, endpoint: str = ""
) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) on `/endpoints/*`. `predictor_status` is what the replica gave it, if it did."""
    face = face_of(error.code)
    if signed and predictor_status is not None and 400 <= predictor_status < 500:
        # What a container refuses is SageMaker's ModelError too; ValidationError is for what never reached it.
        face = _MODEL_ERROR
    original = predictor_status or face.status
    status = face.signed_status if signed else original
    document: dict[str, Any] = dict(error_body(error, request_id))
    document["Message"] = error.message
    document["OriginalStatusCode"] = original
    if face.amazon_type == _MODEL_ERROR.amazon_type:
        document["OriginalMessage"] = error.message
        document["LogStreamArn"] = _LOG_STREAM_ARN.format(endpoint=endpoint)
    head = b"content-type: application/json\r\nx-amzn-errortype: %b\r\n" % face.amazon_type.encode()
    if status == 503:
        head += b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS
    return status, head, json.dumps(document).encode()


def model_error(status: int, said: bytes, request_id: str, endpoint: str) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) for a client of SageMaker's, where the predictor itself answered with an error."""
    text = said[:ORIGINAL_MESSAGE_BYTES_MAX].decode("utf-8", "replace")
    error = PredictorFailed(f"cannot predict: the predictor answered with status {status}: {text}")
    code, head, body = prediction_error(error, request_id, signed=True, predictor_status=status, endpoint=endpoint)
    return code, head, json.dumps({**json.loads(body), "OriginalMessage": text}).encode()


def tensor_error(
    error: ModelyardError, request_id: str, predictor_status: int | None = None
) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) on `/v2`: the Open Inference Protocol's error is one text."""
    text = f"{error.message}; {error.hint}" if error.hint else error.message
    head = b"content-type: application/json\r\n"
    status = predictor_status or status_of(error)
    if status == 503:
        head += b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS
    return status, head, json.dumps({"error": text, "request_id": request_id}).encode()


SANDBOX = b"content-security-policy: sandbox allow-scripts allow-forms allow-popups allow-downloads\r\n"
"""With a page at the yard's own address: its scripts get an origin of no one's, and so cannot act as whoever is signed
in there. A form of any site can have a browser show what a predictor answers."""

_TYPES = re.compile(rb"^content-type:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_INERT = re.compile(
    rb"\s*(?!text/(?:html|xml|xsl)|application/(?:xhtml|xml|unknown)|image/svg|multipart/|unknown/)"
    rb"[a-z0-9-]+/(?![^;]*[+]xml)[a-z0-9][a-z0-9.+_-]*\s*(?:;[^,]*)?",
    re.IGNORECASE,
)
"""A media type whose content no browser runs, and none takes for another one."""

UNSAFE = str.maketrans("", "", "\r\n\0")
"""Takes out of a header what would end its line."""

_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "x-request-id", "content-type"})


def is_page(head: bytes) -> bool:
    """Whether a browser runs the scripts of what these header lines stand before. Of what has no type that it knows, it
    guesses one."""
    types = _TYPES.findall(head)
    return not types or not all(_INERT.fullmatch(one) for one in types)


def answer_head(meta: Mapping[str, Any], version: int, variant: bytes | None = None) -> tuple[int, bytes]:
    """(status, status line and header lines) of a replica's answer, without length, date and request id. `variant` is
    what it says gave it, by default the version.

    Headers that frame the message are the gateway's own; a predictor cannot set them, nor break out of a line. A page
    is in a sandbox.
    """
    status = int(meta.get("status", 200))
    lines = [status_line(status)]
    content_type = str(meta.get("type") or "application/octet-stream").translate(UNSAFE)
    lines.append(b"content-type: %b\r\n" % content_type.encode("latin-1", "replace"))
    if is_page(lines[-1]):
        lines.append(SANDBOX)
    for name, value in meta.get("headers") or ():
        clean = str(name).translate(UNSAFE).strip().lower()
        if clean and clean not in _OURS and ":" not in clean:
            text = str(value).translate(UNSAFE).encode("latin-1", "replace")
            given = text if clean != "set-cookie" else cookie_of_this_host(text)
            if given is not None:
                lines.append(b"%b: %b\r\n" % (clean.encode("latin-1", "replace"), given))
    lines.append(variant_line(version, variant))
    return status, b"".join(lines)


def variant_line(version: int, variant: bytes | None) -> bytes:
    """The header line that says who gave an answer."""
    return b"x-amzn-invoked-production-variant: %b\r\n" % (variant or b"v%d" % version)
