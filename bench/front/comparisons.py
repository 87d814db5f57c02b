"""What is compared, and with what: both sides answer the same, checked first, and are measured in turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from bench.front.house import (
    ALONE,
    APP,
    FUNCTION,
    GATEWAY,
    KEYED,
    LARGE,
    NARROW,
    OPEN,
    OURS,
    PAGE,
    SITE,
    House,
    app_alone,
)
from bench.front.load import Side, put_load
from bench.front.nginx import nginx_before, nginx_site
from bench.front.sockets import Echoes, Held, echoes, hold
from bench.serving.agreement import DifferentAnswer
from bench.serving.load import Load

WARM_UP_SECONDS = 1
ECHOES = 2000
UNAUTHORIZED = 401
_COMPARED_HEADERS = ("content-type", "cache-control", "x-content-type-options")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: int
    sockets: int
    nginx_workers: int


@dataclass(slots=True)
class Found:
    loads: list[Load] = field(default_factory=list[Load])
    echoes: list[Echoes] = field(default_factory=list[Echoes])
    held: Held | None = None


Comparison = Callable[[House, Path, Effort, Tell], Found]


def app(house: House, folder: Path, effort: Effort, tell: Tell) -> Found:
    """A page of an app, 8 kB, by the yard, by the app itself and by nginx before it: one that is there, one written
    anew each time."""
    found = Found()
    with app_alone(house.folder) as alone, nginx_before(alone, folder / "before", effort.nginx_workers) as theirs:
        ours = house.side("/", label=APP, of=APP)
        for case, path in (("app", ""), ("app, page written anew", "report")):
            sides = [replace(side, url=f"{side.url}{path}") for side in (ours, alone, theirs)]
            for other in sides[1:]:
                _same(sides[0], other, headers=("content-type",))
            found.loads += _in_turns(case, sides, (1, 64), effort, tell)
    return found


def websocket(house: House, _folder: Path, effort: Effort, tell: Tell) -> Found:
    """An echo over a WebSocket of an app, by the yard and by the app itself."""
    found = Found()
    with app_alone(house.folder) as alone:
        ours = house.side("/", label=APP, of=APP)
        for number in range(effort.rounds):
            found.echoes += [echoes(side, ECHOES) for side in _turned((ours, alone), number)]
            tell(f"websocket, round {number + 1}/{effort.rounds}")
    return found


def sockets(house: House, _folder: Path, effort: Effort, _tell: Tell) -> Found:
    """Many WebSockets open at once, and what the gateway holds for them."""
    return Found(held=hold(house.side("/", label=APP, of=APP), effort.sockets))


def site(house: House, folder: Path, effort: Effort, tell: Tell) -> Found:
    """Files of a site, by the yard and by nginx: a page of 9 kB as it is, compressed, unchanged; a file of 1 MB."""
    found = Found()
    with nginx_site(house.folder / SITE, folder / "nginx", effort.nginx_workers) as theirs:
        ours = house.side("", label=SITE)
        for case, path, headers in (
            ("site", PAGE, {}),
            ("site, compressed", PAGE, {"Accept-Encoding": "gzip"}),
            ("site, 1 MB", LARGE, {}),
        ):
            pair = [_at(side, path, headers) for side in (ours, theirs)]
            _same(*pair, headers=_COMPARED_HEADERS)
            found.loads += _in_turns(case, pair, (64,), effort, tell)
        pair = [_at(side, PAGE, {"If-None-Match": _tag(_at(side, PAGE, {}))}) for side in (ours, theirs)]
        found.loads += _in_turns("site, not sent again", pair, (64,), effort, tell)
    return found


def function(house: House, folder: Path, effort: Effort, tell: Tell) -> Found:
    """A function, by its own address and through an API gateway."""
    body = folder / "add.json"
    body.write_text('{"a": 20, "b": 22}')
    bare = replace(house.side(f"/functions/{FUNCTION}", of=FUNCTION), name=ALONE, body=body)
    through = replace(house.side(f"/gateways/{GATEWAY}/add", of=FUNCTION), body=body)
    _same(through, bare, headers=("content-type",))
    return Found(_in_turns("function", (through, bare), (1, 4), effort, tell))


def access(house: House, folder: Path, effort: Effort, tell: Tell) -> Found:
    """A prediction that wants a key, and one that also looks at the address, beside one that is public."""
    body = folder / "row.json"
    body.write_text("[[1.0]]")
    public = replace(house.side(_invocations(OPEN), of=OPEN), name=ALONE, body=body)
    found = Found()
    for case, name in (("access, key", KEYED), ("access, key and address", NARROW)):
        guarded = replace(house.side(_invocations(name), of=name, keyed=True), body=body)
        _refuses_strangers(guarded)
        _same(guarded, public, headers=("content-type",))
        found.loads += _in_turns(case, (guarded, public), (1, 64), effort, tell)
    return found


COMPARISONS: dict[str, Comparison] = {one.__name__: one for one in (app, websocket, sockets, site, function, access)}


def _invocations(name: str) -> str:
    return f"/endpoints/{name}/invocations"


def _at(side: Side, path: str, headers: dict[str, str]) -> Side:
    return replace(side, url=f"{side.url}/{path}", headers={**side.headers, **headers})


def _in_turns(case: str, sides: Sequence[Side], connections: Sequence[int], effort: Effort, tell: Tell) -> list[Load]:
    """Each round measures both, the one that begins by turns."""
    found: list[Load] = []
    for count in connections:
        for side in sides:
            put_load(case, side, count, WARM_UP_SECONDS)
        for number in range(effort.rounds):
            for side in _turned(sides, number):
                load = put_load(case, side, count, effort.seconds)
                tell(f"{case}, {count} connections, {side.name}: {load.requests_per_second:,.0f} requests/s")
                found.append(load)
    return found


def _turned(sides: Sequence[Side], number: int) -> Sequence[Side]:
    return sides if number % 2 == 0 else tuple(reversed(sides))


def _ask(side: Side, headers: dict[str, str]) -> httpx.Response:
    method, body = ("POST", side.body.read_bytes()) if side.body is not None else ("GET", None)
    kind = {"content-type": "application/json"} if body is not None else {}
    # By httpx's own class, to which `Accept-Encoding` is no second header.
    given = httpx.Headers({"accept-encoding": "identity", **kind})
    given.update(headers)
    return httpx.request(method, side.url, content=body, headers=given)


def _same(one: Side, other: Side, *, headers: Sequence[str]) -> None:
    """Raises DifferentAnswer."""
    found, wanted = (_ask(side, dict(side.headers)) for side in (one, other))
    if not found.is_success or _value(found) != _value(wanted):
        raise DifferentAnswer(f"{one.name} answers {found.status_code} {found.text[:100]}, {other.name} otherwise")
    for name in (*headers, "content-encoding"):
        if found.headers.get(name) != wanted.headers.get(name):
            raise DifferentAnswer(
                f"{one.name} answers {name}: {found.headers.get(name)}, {other.name} {wanted.headers.get(name)}"
            )


def _value(answer: httpx.Response) -> Any:
    """JSON by what it means; one writes a space after a comma, the other none."""
    return answer.json() if answer.headers.get("content-type") == "application/json" else answer.content


def _tag(side: Side) -> str:
    return _ask(side, dict(side.headers)).headers["etag"]


def _refuses_strangers(side: Side) -> None:
    """What lets everybody in costs nothing. Raises DifferentAnswer."""
    status = _ask(side, {}).status_code
    if status != UNAUTHORIZED:
        raise DifferentAnswer(f"{side.url} answers {status} without a key")


__all__ = ["COMPARISONS", "OURS", "Comparison", "Effort", "Found", "Tell"]
