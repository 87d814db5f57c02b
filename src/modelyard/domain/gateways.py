"""API gateways: routes and stages in front of functions, endpoints and other servers, as API Gateway's HTTP APIs have
them.

Here are the document and what follows from it alone: which route a request meets, which stage, which CORS headers. What
an event looks like is in `payloads`, who may ask how often in `usage`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from modelyard.domain.hosts import check_own_port
from modelyard.domain.names import check_name
from modelyard.domain.usage import Plan, plan_from
from modelyard.errors import InvalidValue

KIND = "gateway"

ROUTES_MAX = 300
"""API Gateway's limit for one API."""
STAGES_MAX = 10
KEYS_MAX = 1000
BODY_BYTES_MAX = 10 * 2**20
"""API Gateway's limit for a request."""
CACHE_SECONDS_MAX = 3600.0
"""API Gateway's limit."""

DEFAULT_STAGE = "$default"
DEFAULT_ROUTE = "$default"
ANY = "ANY"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_PARAMETER = re.compile(r"\{([A-Za-z0-9._-]+)(\+?)\}")
_STAGE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Target:
    """What answers a route; exactly one of them."""

    function: str | None = None
    endpoint: str | None = None
    site: str | None = None
    """Its files are below what comes before the route's `{proxy+}`."""
    url: str | None = None
    """Of another server; `{proxy}` and other parameters of the route stand for what they matched."""

    def given(self) -> dict[str, str]:
        """What is named, by kind."""
        named = {"function": self.function, "endpoint": self.endpoint, "site": self.site, "url": self.url}
        return {kind: name for kind, name in named.items() if name}

    def __str__(self) -> str:
        return " and ".join(f"{kind} {name}" for kind, name in self.given().items())


@dataclass(frozen=True, slots=True)
class Route:
    key: str
    """`GET /items/{id}`, `ANY /files/{proxy+}`, `$default`."""
    target: Target
    payload: str = "2.0"
    """Format of the event that a function gets: 1.0 or 2.0."""
    needs_key: bool = False
    authorizer: str | None = None
    scopes: tuple[str, ...] = ()
    """Any of them must be in the token."""
    body: dict[str, Any] | None = None
    """JSON Schema of the body."""
    query: tuple[str, ...] = ()
    """Parameters that must be there."""
    cache_seconds: float = 0.0
    """For how long an answer to GET is given again."""
    cache_headers: tuple[str, ...] = ()
    """Request headers by which answers differ."""
    timeout_seconds: float = 30.0
    """For another server; API Gateway's."""

    @property
    def method(self) -> str:
        return self.key.partition(" ")[0] if " " in self.key else ANY

    @property
    def path(self) -> str:
        """`/items/{id}`; empty for the default route."""
        return self.key.partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Cors:
    origins: tuple[str, ...] = ()
    """`*`, `https://*`, or origins."""
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key to the gateway; who has no such key is refused by routes that need one."""

    name: str
    secret: str
    """Name of the yard's secret that is the key."""
    plan: str | None = None
    digest: str = ""
    """sha256 of the key, in hexadecimal; only where the gateway reads it."""


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Who must have signed a token, and for whom."""

    issuer: str
    audience: tuple[str, ...]
    jwks: str | None = None
    """Where the issuer's keys are; by default its `/.well-known/openid-configuration` says so."""
    source: str = "authorization"
    """The header that has the token."""


@dataclass(frozen=True, slots=True)
class Gateway:
    routes: tuple[Route, ...]
    stages: dict[str, dict[str, str]] = field(default_factory=lambda: {DEFAULT_STAGE: {}})
    """Name -> stage variables."""
    cors: Cors | None = None
    keys: tuple[ApiKey, ...] = ()
    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    authorizers: dict[str, Authorizer] = field(default_factory=dict[str, Authorizer])
    throttle: Plan | None = None
    """Of all requests together."""
    hosts: tuple[str, ...] = ()
    """Host names of its own."""
    port: int | None = None
    """A port of its own."""
    access: dict[str, Any] | None = None
    access_log: bool = True
    title: str = ""

    @property
    def functions(self) -> frozenset[str]:
        return frozenset(one.target.function for one in self.routes if one.target.function)

    @property
    def endpoints(self) -> frozenset[str]:
        return frozenset(one.target.endpoint for one in self.routes if one.target.endpoint)

    @property
    def sites(self) -> frozenset[str]:
        return frozenset(one.target.site for one in self.routes if one.target.site)


def gateway_document(gateway: Gateway) -> dict[str, Any]:
    return asdict(gateway)


def gateway_from(document: Mapping[str, Any]) -> Gateway:
    """The inverse of `gateway_document`, tolerant of keys that a later version added and of fields left out."""
    fields = _known(Gateway, document)
    fields["routes"] = tuple(_route_from(one) for one in document["routes"])
    fields["keys"] = tuple(ApiKey(**_known(ApiKey, one)) for one in document.get("keys") or ())
    plans: dict[str, Any] = document.get("plans") or {}
    fields["plans"] = {name: plan_from(one) for name, one in plans.items()}
    authorizers: dict[str, Any] = document.get("authorizers") or {}
    fields["authorizers"] = {name: _authorizer_from(one) for name, one in authorizers.items()}
    fields["hosts"] = tuple(document.get("hosts") or ())
    if fields.get("stages") is None:
        fields["stages"] = {DEFAULT_STAGE: {}}
    if fields.get("throttle") is not None:
        fields["throttle"] = plan_from(fields["throttle"])
    if fields.get("cors") is not None:
        cors = _known(Cors, fields["cors"])
        lists = ("origins", "methods", "headers", "expose")
        cors |= {name: tuple(cors.get(name) or ()) for name in lists}
        fields["cors"] = Cors(**cors)
    return Gateway(**fields)


def _route_from(document: Mapping[str, Any]) -> Route:
    fields = _known(Route, document)
    fields["target"] = Target(**_known(Target, document["target"]))
    for name in ("scopes", "query", "cache_headers"):
        fields[name] = tuple(document.get(name) or ())
    return Route(**fields)


def _authorizer_from(document: Mapping[str, Any]) -> Authorizer:
    fields = _known(Authorizer, document)
    fields["audience"] = tuple(document["audience"])
    return Authorizer(**fields)


def _known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in kind.__dataclass_fields__ if name in document}


# Whether it can be


def check_gateway(gateway: Gateway) -> None:
    """Raises InvalidValue."""
    if not 1 <= len(gateway.routes) <= ROUTES_MAX:
        raise InvalidValue(f"cannot use a gateway with {len(gateway.routes)} routes", f"give it 1 to {ROUTES_MAX}")
    shapes: dict[tuple[str, str], str] = {}
    for route in gateway.routes:
        _check_route(gateway, route)
        shape = (route.method, _PARAMETER.sub(lambda found: "{}" + found[2], route.path))
        if shape in shapes:
            raise InvalidValue(f"cannot tell {route.key} from {shapes[shape]}", "leave one of them out")
        shapes[shape] = route.key
    _check_stages(gateway.stages)
    if gateway.port is not None:
        check_own_port(gateway.port)
    for key in gateway.keys:
        if key.plan is not None and key.plan not in gateway.plans:
            raise InvalidValue(f"cannot give key {key.name} plan {key.plan}: there is none", _listed(gateway.plans))
    for name, authorizer in gateway.authorizers.items():
        _check_authorizer(name, authorizer)


def _check_route(gateway: Gateway, route: Route) -> None:
    check_route_key(route.key)
    target = route.target
    given = target.given()
    if len(given) != 1:
        message = f"cannot route {route.key}: it has {len(given)} targets"
        raise InvalidValue(message, "give one function, endpoint, site or url")
    if target.site is not None and route.method not in (ANY, "GET", "HEAD"):
        raise InvalidValue(f"cannot route {route.key} to a site: its files are only read", "write GET or ANY")
    if target.url is not None:
        check_url(target.url)
    if route.payload not in ("1.0", "2.0"):
        raise InvalidValue(f"cannot route {route.key} with payload {route.payload!r}", "write '1.0' or '2.0'")
    if route.authorizer is not None and route.authorizer not in gateway.authorizers:
        message = f"cannot route {route.key}: there is no authorizer {route.authorizer}"
        raise InvalidValue(message, _listed(gateway.authorizers))
    if route.needs_key and not gateway.keys:
        raise InvalidValue(f"cannot route {route.key}: it needs a key, and the gateway has none", "list `keys`")
    if not 0 <= route.cache_seconds <= CACHE_SECONDS_MAX:
        raise InvalidValue(f"cannot cache {route.key} for {route.cache_seconds:g} s", "at most an hour")


def check_route_key(key: str) -> None:
    """Raises InvalidValue where it is no route as API Gateway writes it."""
    if key == DEFAULT_ROUTE:
        return
    method, _, path = key.partition(" ")
    if method not in (ANY, *METHODS) or not path.startswith("/"):
        raise InvalidValue(f"cannot use route {key[:100]!r}", "write GET /items/{id}, ANY /{proxy+} or $default")
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        match = _PARAMETER.fullmatch(segment)
        if match is None and ("{" in segment or "}" in segment):
            raise InvalidValue(f"cannot use route {key[:100]!r}: {segment!r} is no whole segment", "write /{name}")
        if match is not None and match[2] and position != len(segments) - 1:
            raise InvalidValue(f"cannot use route {key[:100]!r}: {segment} takes all that follows", "put it last")


def check_url(url: str) -> None:
    """Raises InvalidValue for anything but http and https, and for credentials, which everybody would read."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidValue(f"cannot use url {url[:100]!r}", "write it in ASCII: %C3%BC, xn--...")
    try:
        split = urlsplit(url)
        port_is_one = split.port is None or split.port > 0
    except ValueError:
        split, port_is_one = urlsplit(""), False
    if split.scheme not in ("http", "https") or not split.hostname or not port_is_one or "{" in (split.netloc or "{"):
        raise InvalidValue(f"cannot use url {url[:100]!r}", "write http://HOST/PATH or https://HOST/PATH")
    if split.username is not None or split.fragment:
        raise InvalidValue(f"cannot use url {url[:100]!r}: it has credentials or a fragment", "leave them out")


def _check_stages(stages: Mapping[str, Mapping[str, str]]) -> None:
    if not 1 <= len(stages) <= STAGES_MAX:
        raise InvalidValue(f"cannot use {len(stages)} stages", f"name 1 to {STAGES_MAX}")
    for name in stages:
        if name != DEFAULT_STAGE and not _STAGE.fullmatch(name):
            raise InvalidValue(f"cannot use stage {name[:40]!r}", "use letters, digits, - and _, or $default")


def _check_authorizer(name: str, authorizer: Authorizer) -> None:
    check_name(name, "authorizer name")
    check_url(authorizer.issuer)
    if authorizer.jwks is not None:
        check_url(authorizer.jwks)
    if not authorizer.audience:
        raise InvalidValue(f"cannot use authorizer {name}: no audience is named", "say for whom its tokens are")


def _listed(names: Mapping[str, Any]) -> str:
    return f"there are {', '.join(names)}" if names else "none is there"


# Which route


class Met(NamedTuple):
    route: Route
    parameters: dict[str, str]
    """What the route's parameters matched, decoded."""


class _Compiled(NamedTuple):
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    rank: tuple[Any, ...]
    route: Route


class Routes:
    """Finds the route of a request as API Gateway does: one that matches the whole path before one that takes what is
    left of it, more that is literal before less, a method of its own before ANY, and `$default` last."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._default = next((one for one in routes if one.key == DEFAULT_ROUTE), None)
        compiled = [_compile(one) for one in routes if one.key != DEFAULT_ROUTE]
        self._compiled = sorted(compiled, key=lambda one: one.rank)

    def find(self, method: str, path: str) -> Met | None:
        """`path` is below the stage, percent-encoded as it came."""
        for one in self._compiled:
            if one.route.method in (method, ANY):
                match = one.pattern.fullmatch(path)
                if match is not None:
                    values = [unquote(value or "") for value in match.groups()]
                    return Met(one.route, dict(zip(one.names, values, strict=True)))
        return Met(self._default, {}) if self._default is not None else None


def _compile(route: Route) -> _Compiled:
    pattern, names, rank = "", list[str](), list[int]()
    greedy = False
    for segment in route.path.split("/")[1:]:
        match = _PARAMETER.fullmatch(segment)
        if match is None:
            pattern += "/" + re.escape(segment)
            rank.append(0)
        else:
            greedy = greedy or bool(match[2])
            # A site's own page is at the place that its files are below.
            rest = "(?:/(.*))?" if route.target.site else "/(.+)"
            pattern += rest if match[2] else "/([^/]+)"
            names.append(match[1])
            rank.append(2 if match[2] else 1)
    # A longer greedy route is the more specific one.
    order = (greedy, rank if not greedy else [-len(rank), *rank], route.method == ANY)
    return _Compiled(re.compile(pattern), tuple(names), order, route)


def path_at_site(route: Route, path: str) -> str | None:
    """Which of a site's files is asked for by `path`, below the stage, percent-encoded as it came: what `{proxy+}`
    takes of it, or all of it where the route has none. None for the place of the site without a slash at its end, below
    which links of its page would lead elsewhere."""
    if not route.path.endswith("+}"):
        return path
    parts = path.split("/", route.path.count("/"))
    return f"/{parts[-1]}" if len(parts) > route.path.count("/") else None


class Staged(NamedTuple):
    stage: str
    path: str
    """Below the stage."""


def find_stage(stages: Mapping[str, Any], path: str) -> Staged | None:
    """The stage whose name the path begins with, else `$default`, which has no prefix."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first != DEFAULT_STAGE and first in stages:
        return Staged(first, f"/{rest}")
    return Staged(DEFAULT_STAGE, path or "/") if DEFAULT_STAGE in stages else None


# CORS


def allowed_origin(cors: Cors, origin: str) -> str | None:
    """What Access-Control-Allow-Origin says to a page of `origin`; None where it is not allowed."""
    for one in cors.origins:
        if one == "*":
            return origin if cors.credentials else "*"
        if one == origin or (one.endswith("://*") and origin.startswith(one[:-1])):
            return origin
    return None


def cors_headers(cors: Cors, origin: str, *, preflight: bool) -> list[tuple[str, str]]:
    """Headers of every answer to a page of another origin, errors among them; empty where it is not allowed."""
    allowed = allowed_origin(cors, origin)
    if allowed is None:
        return []
    headers = [("access-control-allow-origin", allowed)]
    if allowed != "*":
        headers.append(("vary", "origin"))
    if cors.credentials:
        headers.append(("access-control-allow-credentials", "true"))
    if preflight:
        given = (("methods", cors.methods), ("headers", cors.headers))
        headers += [(f"access-control-allow-{name}", ",".join(words)) for name, words in given if words]
        if cors.max_age_seconds is not None:
            headers.append(("access-control-max-age", str(cors.max_age_seconds)))
    elif cors.expose:
        headers.append(("access-control-expose-headers", ",".join(cors.expose)))
    return headers
