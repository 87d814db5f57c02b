"""Endpoints as long lists have them: one line each, without the documents behind it, so that a page that shows a few of
thousands need not read thousands of specs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modelyard.domain.endpoints import Endpoint, EndpointState, EndpointStatus, told_of
from modelyard.domain.idleness import Requests, idle_since
from modelyard.domain.names import name_key

SENTENCE_LENGTH_MAX = 240
"""Characters of a status's sentence that a line has room for; the endpoint's own page has all of it."""

WRONG = frozenset({EndpointState.ERROR, EndpointState.OUT_OF_MEMORY, EndpointState.COMPUTE_UNAVAILABLE})
"""States that somebody should look after."""


class Headline(NamedTuple):
    """An endpoint, an app or a function. A tuple, since a yard makes thousands of them for one page."""

    key: str
    name: str
    project: str
    kind: str
    """As `Endpoint.kind` has it."""
    model: str | None
    state: EndpointState
    sentence: str
    """Of at most SENTENCE_LENGTH_MAX."""
    ready: int
    requested: int
    serving_version: int | None
    wished_version: int
    wished_at: float
    last_request_at: float | None

    @property
    def idle_since(self) -> float:
        return idle_since(self.wished_at, Requests(self.last_request_at))


def headline(endpoint: Endpoint, seen: EndpointStatus | None, requests: Requests) -> Headline:
    wished, said = endpoint.wished, told_of(endpoint, seen)
    return Headline(
        key=name_key(endpoint.name),
        name=endpoint.name,
        project=endpoint.project,
        kind=endpoint.kind,
        model=wished.spec.model,
        state=said.state,
        sentence=said.sentence[:SENTENCE_LENGTH_MAX],
        ready=seen.ready if seen else 0,
        requested=seen.requested if seen else 0,
        serving_version=seen.serving_version if seen else None,
        wished_version=wished.number,
        wished_at=wished.created_at,
        last_request_at=requests.last_at,
    )


@dataclass(frozen=True, slots=True)
class Sought:
    """What a list is asked for; what is left empty leaves nothing out."""

    text: str = ""
    """Part of a name or of a model, in any case."""
    states: tuple[str, ...] = ()
    project: str = ""
    kinds: tuple[str, ...] = ()

    def finds(self, one: Headline) -> bool:
        return (
            (not self.states or one.state in self.states)
            and self.project in ("", one.project)
            and (not self.kinds or one.kind in self.kinds)
            and (not self.text or self.text.lower() in f"{one.name} {one.model or ''}".lower())
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are of what."""

    count: int
    ready: int
    """Replicas."""
    states: Mapping[str, int]
    kinds: Mapping[str, int]
    projects: tuple[str, ...]


def tally(headlines: Sequence[Headline]) -> Tally:
    return Tally(
        count=len(headlines),
        ready=sum(one.ready for one in headlines),
        states=dict(Counter(one.state.value for one in headlines).most_common()),
        kinds=dict(Counter(one.kind for one in headlines).most_common()),
        projects=tuple(sorted({one.project for one in headlines})),
    )


def newest_asked(headlines: Iterable[Headline]) -> list[Headline]:
    """Those that were asked last first; those that never were, in their own order."""
    return sorted(headlines, key=lambda one: -(one.last_request_at or 0.0))


def wrong(headlines: Iterable[Headline]) -> list[Headline]:
    return [one for one in headlines if one.state in WRONG]


def idle(headlines: Iterable[Headline], idle_seconds: float, now: float) -> list[Headline]:
    """Those that nobody has asked for so long and that keep replicas all the same, the longest idle first."""
    found = [one for one in headlines if one.ready and now - one.idle_since >= idle_seconds]
    return sorted(found, key=lambda one: one.idle_since)
