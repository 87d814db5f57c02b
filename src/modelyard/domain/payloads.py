"""What a function is told of a request that came through a gateway, and what of its result goes back: the payload
formats 1.0 and 2.0 of API Gateway's HTTP APIs.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl

ACCOUNT = "000000000000"
PLAIN = "text/plain; charset=utf-8"
"""Of a result that names no type."""
JSON = "application/json"

STATUS_MIN, STATUS_MAX = 200, 599

_TEXTS = frozenset({"application/json", "application/javascript", "application/xml"})
_TEXT_ENDS = ("+json", "+xml")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the gateway has it."""

    method: str
    path: str
    """With its stage's prefix, as it came."""
    query: str
    headers: Sequence[tuple[str, str]]
    """Names in lower case."""
    body: bytes
    host: str
    address: str
    request_id: str
    at: float
    """Wall clock."""
    protocol: str = "HTTP/1.1"

    def header(self, name: str) -> str:
        return next((value for one, value in self.headers if one == name), "")


@dataclass(frozen=True, slots=True)
class Routed:
    """Where it goes."""

    gateway: str
    stage: str
    route_key: str
    route_path: str
    parameters: Mapping[str, str]
    variables: Mapping[str, str]
    claims: Mapping[str, Any] | None = None
    """Of the token that an authorizer has proved."""
    scopes: Sequence[str] | None = None
    api_key: str | None = None
    """Name of the key that was shown."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: list[tuple[str, str]]
    """Names in lower case; the content type is among them."""
    body: bytes = b""


class Unmappable(ValueError):  # noqa: N818 (reads as what the result is)
    """What the function returned is no answer."""


def is_text(content_type: str) -> bool:
    """Whether a body of that type is handed on as text. A form is not: API Gateway's HTTP APIs encode it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXTS or kind.endswith(_TEXT_ENDS)


def body_fields(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """(body, isBase64Encoded)."""
    if not body:
        return None, False
    if is_text(content_type) or not content_type:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), True


# -- events ------------------------------------------------------------------------------------------------------------


def event_of(request: HttpRequest, routed: Routed, version: str) -> dict[str, Any]:
    return _event_1(request, routed) if version == "1.0" else _event_2(request, routed)


def _event_2(request: HttpRequest, routed: Routed) -> dict[str, Any]:
    body, encoded = body_fields(request.body, request.header("content-type"))
    cookies = [one.strip() for name, value in request.headers if name == "cookie" for one in value.split(";")]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": routed.route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "cookies": [one for one in cookies if one],
        "headers": _joined([one for one in request.headers if one[0] != "cookie"]),
        "queryStringParameters": _joined(parse_qsl(request.query, keep_blank_values=True)),
        "requestContext": _context_2(request, routed),
        "pathParameters": dict(routed.parameters),
        "stageVariables": dict(routed.variables),
        "body": body,
        "isBase64Encoded": encoded,
    }
    optional = ("cookies", "queryStringParameters", "pathParameters", "stageVariables", "body")
    return {name: value for name, value in event.items() if value or name not in optional}


def _context_2(request: HttpRequest, routed: Routed) -> dict[str, Any]:
    context: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": routed.gateway,
        "domainName": _domain(request),
        "domainPrefix": _domain(request).partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.address,
            "userAgent": request.header("user-agent"),
        },
        "requestId": request.request_id,
        "routeKey": routed.route_key,
        "stage": routed.stage,
        "time": _moment(request.at),
        "timeEpoch": int(request.at * 1000),
    }
    if routed.claims is not None:
        context["authorizer"] = {"jwt": {"claims": _claims(routed), "scopes": _scopes(routed)}}
    return context


def _event_1(request: HttpRequest, routed: Routed) -> dict[str, Any]:
    body, encoded = body_fields(request.body, request.header("content-type"))
    headers = [(_title(name), value) for name, value in request.headers]
    query = parse_qsl(request.query, keep_blank_values=True)
    return {
        "version": "1.0",
        "resource": routed.route_path or routed.route_key,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _gathered(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _gathered(query) or None,
        "requestContext": _context_1(request, routed),
        "pathParameters": dict(routed.parameters) or None,
        "stageVariables": dict(routed.variables) or None,
        "body": body,
        "isBase64Encoded": encoded,
    }


_IDENTITY = (
    "accessKey", "accountId", "caller", "cognitoAmr", "cognitoAuthenticationProvider", "cognitoAuthenticationType",
    "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "user", "userArn",
)  # fmt: skip


def _context_1(request: HttpRequest, routed: Routed) -> dict[str, Any]:
    identity: dict[str, Any] = dict.fromkeys(_IDENTITY)
    identity |= {"sourceIp": request.address, "userAgent": request.header("user-agent")}
    if routed.api_key is not None:
        identity["apiKeyId"] = routed.api_key
    authorizer = None if routed.claims is None else {"claims": _claims(routed), "scopes": _scopes(routed)}
    return {
        "accountId": ACCOUNT,
        "apiId": routed.gateway,
        "authorizer": authorizer,
        "domainName": _domain(request),
        "domainPrefix": _domain(request).partition(".")[0],
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity": identity,
        "path": request.path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": _moment(request.at),
        "requestTimeEpoch": int(request.at * 1000),
        "resourceId": routed.route_key,
        "resourcePath": routed.route_path or routed.route_key,
        "stage": routed.stage,
    }


def _domain(request: HttpRequest) -> str:
    host = request.host
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _claims(routed: Routed) -> dict[str, str]:
    """As API Gateway writes them: texts, lists in brackets."""
    found: dict[str, str] = {}
    for name, value in (routed.claims or {}).items():
        if isinstance(value, list | tuple):
            found[name] = f"[{' '.join(map(str, cast('list[Any]', value)))}]"
        else:
            found[name] = value if isinstance(value, str) else json.dumps(value)
    return found


def _scopes(routed: Routed) -> list[str] | None:
    return list(routed.scopes) if routed.scopes else None


def _moment(at: float) -> str:
    """`12/Mar/2020:19:03:58 +0000`, in words that no locale changes."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    when = time.gmtime(at)
    return f"{when.tm_mday:02}/{months[when.tm_mon - 1]}/{when.tm_year}:{time.strftime('%H:%M:%S', when)} +0000"


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _gathered(pairs).items()}


def _gathered(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _title(name: str) -> str:
    """`x-forwarded-for` as HTTP/1.1's clients mostly write it."""
    return "-".join(part.capitalize() for part in name.split("-"))


# -- results -----------------------------------------------------------------------------------------------------------


def answer_of(result: Any, version: str) -> HttpAnswer:
    """The answer that a result means. Raises Unmappable."""
    if not isinstance(result, dict) or "statusCode" not in result:
        if version == "1.0":
            raise Unmappable("a result in format 1.0 is an object with statusCode")
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return HttpAnswer(200, [("content-type", JSON)], text.encode("utf-8", "surrogatepass"))
    fields = cast("dict[str, Any]", result)
    headers = _result_headers(fields, version)
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", PLAIN))
    return HttpAnswer(_result_status(fields["statusCode"]), headers, _result_body(fields))


def _result_status(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unmappable("statusCode is no number")
    try:
        status = int(value)
    except ValueError as error:
        raise Unmappable("statusCode is no number") from error
    if not STATUS_MIN <= status <= STATUS_MAX:
        raise Unmappable(f"statusCode is not {STATUS_MIN} to {STATUS_MAX}")
    return status


def _result_headers(fields: dict[str, Any], version: str) -> list[tuple[str, str]]:
    single: Any = fields.get("headers") or {}
    several: Any = (fields.get("multiValueHeaders") or {}) if version == "1.0" else {}
    if not isinstance(single, dict) or not isinstance(several, dict):
        raise Unmappable("headers are no object")
    named = {str(name).lower() for name in cast("dict[Any, Any]", several)}
    plain = cast("dict[Any, Any]", single).items()
    headers = [(str(name).lower(), _text(value)) for name, value in plain if str(name).lower() not in named]
    for name, values in cast("dict[Any, Any]", several).items():
        listed = cast("list[Any]", values) if isinstance(values, list) else [values]
        headers += [(str(name).lower(), _text(one)) for one in listed]
    if version == "2.0":
        cookies = fields.get("cookies") or ()
        if not isinstance(cookies, list | tuple):
            raise Unmappable("cookies are no list")
        headers += [("set-cookie", _text(one)) for one in cast("list[Any]", cookies)]
    return headers


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Unmappable("a header's value is no text")


def _result_body(fields: dict[str, Any]) -> bytes:
    body = fields.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise Unmappable("body is no text")
    if not fields.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unmappable("body is no base64") from error
