"""Traffic splitters (Cortex's `TrafficSplitter`): one name whose requests several endpoints answer, each its share.

SageMaker's production variants are the same thing: endpoints that were made for one splitter, and go with it.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.domain.names import check_name, name_key
from modelyard.errors import InvalidValue, NotFound

KIND = "traffic_splitter"

MEMBERS_MAX = 10
"""As many as SageMaker has variants of one endpoint."""

WEIGHTS_TOTAL = 100

ALL_TRAFFIC = "alltraffic"
"""SageMaker's name for the only variant of an endpoint; here, whoever comes next by weight."""


@dataclass(frozen=True, slots=True)
class SplitMember:
    endpoint: str
    weight: float
    """Its share of the requests, in percent; of a shadow, nothing."""
    variant: str
    """What requests may name it by, and answers say who gave them."""
    shadow: bool = False
    """It gets a copy of every request, and nobody gets its answers."""
    owned: bool = False
    """It is a variant: made with the splitter, and gone when the splitter is or has it no more."""


@dataclass(frozen=True, slots=True)
class TrafficSplitter:
    members: tuple[SplitMember, ...]

    @property
    def endpoints(self) -> frozenset[str]:
        """Keys of the endpoints that it needs."""
        return frozenset(name_key(one.endpoint) for one in self.members)

    @property
    def owned(self) -> frozenset[str]:
        """Keys of those that go with it."""
        return frozenset(name_key(one.endpoint) for one in self.members if one.owned)


def endpoint_of_variant(endpoint: str, variant: str) -> str:
    """The endpoint that a variant of another is."""
    return f"{endpoint}-{variant}"


def check_splitter(splitter: TrafficSplitter) -> None:
    """Raises InvalidValue, with Cortex's own words where Cortex has them."""
    members = splitter.members
    answering = [one for one in members if not one.shadow]
    if not answering or len(members) > MEMBERS_MAX:
        raise InvalidValue(f"cannot split between {len(members)} endpoints", f"name 1 to {MEMBERS_MAX}")
    for what, names in (("endpoint", [one.endpoint for one in members]), ("variant", [one.variant for one in members])):
        for name in names:
            check_name(name, f"{what} name")
        if len({name_key(one) for one in names}) < len(names):
            raise InvalidValue(f"cannot split: two members have the same {what}", "name each once")
    if len(members) - len(answering) > 1:
        raise InvalidValue("cannot split with more than one shadow", "leave one")
    if any(one.weight < 0 for one in answering):
        raise InvalidValue("cannot split by a weight below nothing", "write 0 to 100")
    total = sum(one.weight for one in answering)
    if abs(total - WEIGHTS_TOTAL) > 1e-6:
        raise InvalidValue(
            f"cannot split: expected weights of all non-shadow apis to sum to 100 but found {total:g}",
            "write weights in percent",
        )


def check_members(splitter: TrafficSplitter, there: Collection[str]) -> None:
    """Raises InvalidValue where an endpoint is named that is not among the keys of those `there`."""
    for one in splitter.members:
        if name_key(one.endpoint) not in there:
            raise InvalidValue(
                f"cannot split: there is no endpoint {one.endpoint}", "deploy it first, or in the same file"
            )


def splitter_document(splitter: TrafficSplitter) -> dict[str, Any]:
    return {"members": [asdict(one) for one in splitter.members]}


def splitter_from(document: Mapping[str, Any]) -> TrafficSplitter:
    """The inverse of `splitter_document`, tolerant of keys that a later version added."""
    known = SplitMember.__dataclass_fields__
    return TrafficSplitter(
        tuple(SplitMember(**{key: one[key] for key in known if key in one}) for one in document["members"])
    )


def shares_of(weights: Sequence[float]) -> list[float]:
    """SageMaker's weights, of which only the relation counts, as percent. Raises InvalidValue where none has any."""
    total = sum(weights)
    if total <= 0:
        raise InvalidValue("cannot split: no variant has a weight", "give one of them a weight above 0")
    return [WEIGHTS_TOTAL * one / total for one in weights]


def member_for(splitter: TrafficSplitter, wanted: str | None, request: str) -> SplitMember:
    """Who answers what must always be answered by the same, such as a queued invocation that is sent again: chosen by
    the shares and by what the request is called, or by the variant that is wanted. Raises NotFound."""
    answering = [one for one in splitter.members if not one.shadow]
    if wanted is not None and name_key(wanted) != ALL_TRAFFIC:
        found = next((one for one in answering if name_key(one.variant) == name_key(wanted)), None)
        if found is None:
            known = ", ".join(one.variant for one in answering)
            raise NotFound(f"cannot find variant {wanted[:64]!r}", f"there are {known}")
        return found
    digest = hashlib.sha256(request.encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64 * WEIGHTS_TOTAL
    for one in answering:
        point -= one.weight
        if point < 0:
            return one
    return next(one for one in reversed(answering) if one.weight)
