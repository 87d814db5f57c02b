"""Traffic splitters (Cortex's `TrafficSplitter`): one name whose requests several endpoints answer, each its share."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.domain.names import check_name, name_key
from modelyard.errors import InvalidValue

KIND = "traffic_splitter"

MEMBERS_MAX = 10
"""As many as SageMaker has variants of one endpoint."""

WEIGHTS_TOTAL = 100


@dataclass(frozen=True, slots=True)
class SplitMember:
    endpoint: str
    weight: float
    """Its share of the requests, in percent; of a shadow, nothing."""
    variant: str
    """What requests may name it by, and answers say who gave them."""
    shadow: bool = False
    """It gets a copy of every request, and nobody gets its answers."""


@dataclass(frozen=True, slots=True)
class TrafficSplitter:
    members: tuple[SplitMember, ...]

    @property
    def endpoints(self) -> frozenset[str]:
        """Keys of the endpoints that it needs."""
        return frozenset(name_key(one.endpoint) for one in self.members)


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
