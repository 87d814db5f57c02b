"""Which replica takes the next request."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Load(Protocol):
    in_flight: int
    capacity: int
    leaving: bool


T = TypeVar("T", bound=Load)


def least_in_flight(targets: Iterable[T]) -> T | None:
    """The target with the fewest requests in flight among those that take one more; of equals the first."""
    best: T | None = None
    for one in targets:
        if one.in_flight < one.capacity and not one.leaving and (best is None or one.in_flight < best.in_flight):
            best = one
    return best
