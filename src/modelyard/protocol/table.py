"""The table: what a gateway must know to answer predictions, as the controller publishes it.

The snapshot is one JSON file, replaced whole (write aside, fsync, rename), with a journal beside it: the deltas since,
a line each, so that a change among ten thousand endpoints writes one line. The same deltas go over the controller's
socket. All carry a number that counts up; a gateway that meets a gap asks for the snapshot again. A gateway without a
controller serves on with the last table it has.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

TABLE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReplicaAddress:
    """Where a ready replica listens. `token` proves each side to the other and is written only to 0600 files."""

    id: str
    version: int
    socket: str
    token: str
    package: str


@dataclass(frozen=True, slots=True)
class EndpointEntry:
    name: str
    version: int | None
    """Version that serves; None while nothing does."""
    replicas: tuple[ReplicaAddress, ...]
    max_in_flight: int | None
    """Overrides what a replica states in its handshake."""
    max_queue_length: int
    max_queue_bytes: int
    timeout_seconds: float
    max_body_bytes: int
    idempotent: bool
    queued: bool = False
    """Whether it is asked by the yard's own dispatcher alone."""
    concurrency: int = 8
    """Most queued invocations that are sent to one replica at once."""
    why_not_ready: str | None = None
    """One sentence for those who call while nothing serves."""
    capture: dict[str, Any] | None = None
    """Which requests are kept (`domain.captures`); None keeps none."""
    project: str = ""
    access: dict[str, Any] | None = None
    """Who may call it (`domain.access.policy_document`); None leaves it to the yard."""
    candidate: "Candidate | None" = None
    """Another version beside the one that serves."""
    members: tuple["Member", ...] = ()
    """Other endpoints that answer in its place: a traffic splitter. Such a one has no replicas of its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version with a share of the requests, which may be nothing: it is connected then, and can be asked by name."""

    entry: EndpointEntry
    """As if it were all there is."""
    percent: float
    """Of the requests, answered by it."""
    mirror_percent: float = 0.0
    """Of the requests that the other version answers, copied to it."""
    compare: bool = True
    """Whether what it answers to copies is compared."""
    tolerance: float = 0.0
    """Relative difference of numbers that still counts as equal."""


@dataclass(frozen=True, slots=True)
class Member:
    """One endpoint of a traffic splitter."""

    endpoint: str
    """Its `name_key`."""
    weight: float
    variant: str
    """As requests name it."""
    shadow: bool = False
    """It gets copies of all requests; its weight does not count."""
    owned: bool = False
    """It is a variant: measured under the splitter's name."""


def entry_document(entry: EndpointEntry) -> dict[str, Any]:
    return asdict(entry)


def entry_from(document: dict[str, Any]) -> EndpointEntry:
    fields = {key: document[key] for key in EndpointEntry.__dataclass_fields__ if key in document}
    fields["replicas"] = tuple(ReplicaAddress(**one) for one in document["replicas"])
    fields["members"] = tuple(Member(**one) for one in document.get("members", ()))
    if fields.get("candidate") is not None:
        fields["candidate"] = _candidate_from(fields["candidate"])
    return EndpointEntry(**fields)


def _candidate_from(document: dict[str, Any]) -> Candidate:
    fields = {key: document[key] for key in Candidate.__dataclass_fields__ if key in document}
    fields["entry"] = entry_from(document["entry"])
    return Candidate(**fields)


@dataclass(frozen=True, slots=True)
class Table:
    number: int
    entries: dict[str, EndpointEntry]
    """By `name_key`."""


def variants_of(table: Table) -> dict[str, tuple[str, str]]:
    """(name that it answers under, name of the variant) of each endpoint that is one, by `name_key`."""
    return {
        member.endpoint: (entry.name, member.variant)
        for entry in table.entries.values()
        for member in entry.members
        if member.owned
    }


@dataclass(frozen=True, slots=True)
class Delta:
    """What leads from table `number - 1` to table `number`."""

    number: int
    put: dict[str, EndpointEntry]
    drop: tuple[str, ...]


def delta_of(old: Table, put: dict[str, EndpointEntry], drop: Iterable[str] = ()) -> Delta | None:
    """The delta from `old` to a table where these entries are put and those dropped, or None where it is that
    already."""
    changed = {key: entry for key, entry in put.items() if old.entries.get(key) != entry}
    gone = tuple(key for key in sorted(drop) if key in old.entries)
    return Delta(old.number + 1, changed, gone) if changed or gone else None


def apply_delta(table: Table, delta: Delta) -> Table | None:
    """The next table, or None where the delta does not follow this one."""
    if delta.number != table.number + 1:
        return None
    entries = {**table.entries, **delta.put}
    for key in delta.drop:
        entries.pop(key, None)
    return Table(delta.number, entries)


def table_after(table: Table, journal: Iterable[bytes]) -> Table:
    """The table that the lines of the journal lead to, each a delta's document. Those that it holds already are passed
    over; the first that cannot be read, the last one's half, ends it."""
    entries, number = dict(table.entries), table.number
    for line in journal:
        try:
            delta = delta_from(json.loads(line))
        except (ValueError, KeyError, TypeError):
            break
        if delta.number <= number:
            continue
        if delta.number != number + 1:
            break
        entries |= delta.put
        for key in delta.drop:
            entries.pop(key, None)
        number = delta.number
    return Table(number, entries)


def table_document(table: Table) -> dict[str, Any]:
    entries = {key: entry_document(entry) for key, entry in table.entries.items()}
    return {"format": TABLE_FORMAT, "number": table.number, "entries": entries}


def table_from(document: dict[str, Any]) -> Table:
    return Table(document["number"], {key: entry_from(entry) for key, entry in document["entries"].items()})


def delta_document(delta: Delta) -> dict[str, Any]:
    return {
        "number": delta.number,
        "put": {key: entry_document(entry) for key, entry in delta.put.items()},
        "drop": list(delta.drop),
    }


def delta_from(document: dict[str, Any]) -> Delta:
    put = {key: entry_from(entry) for key, entry in document["put"].items()}
    return Delta(document["number"], put, tuple(document["drop"]))
