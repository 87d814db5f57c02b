"""Traffic splitters: their entries of the table. They have no processes, so there is nothing else to make true."""

from modelyard.domain.names import name_key
from modelyard.domain.splitters import KIND, splitter_from
from modelyard.protocol.table import EndpointEntry, Member
from modelyard.store.ports import Store


def splitter_entries(store: Store) -> dict[str, EndpointEntry]:
    """By `name_key`, which no endpoint has."""
    entries: dict[str, EndpointEntry] = {}
    for resource in store.resources.select(KIND):
        splitter = splitter_from(resource.wished.spec)
        members = tuple(
            Member(name_key(one.endpoint), one.weight, one.variant, one.shadow, one.owned) for one in splitter.members
        )
        entries[name_key(resource.name.name)] = EndpointEntry(
            name=resource.name.name,
            version=None,
            replicas=(),
            max_in_flight=None,
            max_queue_length=0,
            max_queue_bytes=0,
            timeout_seconds=0.0,
            max_body_bytes=0,
            idempotent=False,
            members=members,
        )
    return entries
