"""Answers of the interface, each declared once: `api` returns them, `sdk` reads them. Times are RFC 3339 in UTC. Those
of a noun that has many stand in `views_of_NOUN`."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_type_hints

_ViewT = TypeVar("_ViewT")


@dataclass(frozen=True, slots=True)
class HeadlineView:
    """An endpoint, an app or a function in one line of a list."""

    kind: str
    name: str
    project: str
    model: str | None
    state: str
    """A value of `domain.endpoints.EndpointState`."""
    sentence: str
    """Its beginning, where it is long."""
    ready: int
    requested: int
    serving_version: int | None
    wished_version: int
    wished_at: str
    """When it was deployed last."""
    last_request_at: str | None
    """To within some seconds; null where it was never asked."""


@dataclass(frozen=True, slots=True)
class HeadlinesView:
    total: int
    """Of those that are like what is asked for; `headlines` has one part of them."""
    count: int
    """Of all."""
    states: dict[str, int]
    """How many of all are in each."""
    projects: list[str]
    headlines: list[HeadlineView]
    """By name."""


@dataclass(frozen=True, slots=True)
class OverviewView:
    """What a yard serves, at a glance. Each list has its first few, beside how many there are."""

    count: int
    ready: int
    """Replicas."""
    states: dict[str, int]
    kinds: dict[str, int]
    asked: list[HeadlineView]
    """Those that were asked last first."""
    wrong: list[HeadlineView]
    """Each with its whole sentence."""
    wrong_count: int
    idle: list[HeadlineView]
    """Those that nobody has asked for long and that keep replicas all the same, the longest idle first."""
    idle_count: int


@dataclass(frozen=True, slots=True)
class SecretView:
    """What is told of a secret; never its value."""

    name: str
    revision: int
    """Counts up from 1 with each other value."""
    created_at: str
    updated_at: str
    used_by: list[str]
    """`endpoint/price`, `run/price-training-3`, `gateway/shop`: what refers to it now."""


@dataclass(frozen=True, slots=True)
class SecretsView:
    secrets: list[SecretView]
    """By name."""


@dataclass(frozen=True, slots=True)
class UsageView:
    """What one key of an API gateway has used of its plan, and may still ask."""

    key: str | None
    """Null for the bound of all requests together that come without a plan's key."""
    plan: str | None
    rate: float | None
    """Requests a second, in the long run; null where they are not bounded."""
    burst: int | None
    quota: int | None
    """Requests in a period; null where they are not bounded."""
    per: str
    used: int
    """Requests in the present period."""
    left: int | None
    """Of the quota."""
    at_once: int | None
    """Requests that would be let in just now; null where nothing bounds them."""
    resets_at: str | None
    """When the quota begins anew."""
    asked_at: str | None
    """When it was let in last; null where it never was."""


@dataclass(frozen=True, slots=True)
class UsagesView:
    name: str
    usages: list[UsageView]
    """The gateway's own bound first, then keys that have a plan, as its document lists them."""


def view_from(kind: type[_ViewT], document: dict[str, Any]) -> _ViewT:
    """A view out of its JSON document. What a newer yard says beside it is left out."""
    make: Callable[..., _ViewT] = kind
    known = {name: view for name, view in _fields(kind).items() if name in document}
    return make(**{name: _value(view, document[name]) for name, view in known.items()})


def _value(view: type[Any] | None, value: Any) -> Any:
    if view is None or value is None:
        return value
    if isinstance(value, list):
        return [view_from(view, one) for one in cast("list[dict[str, Any]]", value)]
    return view_from(view, value)


@cache
def _fields(kind: type[Any]) -> dict[str, type[Any] | None]:
    """Its fields by name, each with the view that it holds or holds a list of, if it holds any."""
    hints = get_type_hints(kind)
    return {one.name: _view_in(hints[one.name]) for one in fields(kind)}


def _view_in(hint: Any) -> type[Any] | None:
    return next((one for one in (hint, *get_args(hint)) if isinstance(one, type) and is_dataclass(one)), None)
