"""The table: what a gateway must know to answer predictions, as the controller publishes it.

The snapshot is one JSON file, replaced whole (write aside, fsync, rename), with a journal beside it: the deltas since,
a line each, so that a change among ten thousand endpoints writes one line. The same deltas go over the controller's
socket. All carry a number that counts up; a gateway that meets a gap asks for the snapshot again. A gateway without a
controller serves on with the last table it has.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

TABLE_FORMAT = 1

ENDPOINT = "endpoint"
APP = "app"
FUNCTION = "function"


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
    kind: str = ENDPOINT
    """What people call it: an app is visited at an origin of its own, where an endpoint answers predictions."""
    sticky: bool = True
    """Whether a visitor of an app comes back to the replica where they were."""
    stopped: bool = False
    """Nothing of it is wished to run."""
    under_way_max: int | None = None
    """Most requests inside replicas and waiting together; beyond it 429. None has no such bound."""
    hosts: tuple[str, ...] = ()
    """Host names of an app's own."""
    port: int | None = None
    """A port of an app's own."""


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


@dataclass(frozen=True, slots=True)
class HostEntry:
    """What answers at an origin of its own: an app, a site, a gateway."""

    kind: str
    name: str
    project: str = ""
    hosts: tuple[str, ...] = ()
    """Host names of its own, lower case, without ports."""
    labelled: bool = True
    """Whether `NAME.localhost` and `NAME.APPS_DOMAIN` are its own too."""
    access: dict[str, Any] | None = None
    """Who may come in (`domain.access.policy_document`); None leaves it to the yard."""
    endpoint: str | None = None
    """`name_key` of the entry whose replicas answer: an app."""
    prefix: str | None = None
    """What is put before each path, which is then answered as if the yard itself had been asked: a gateway. Who may
    come in is then said there."""
    site: str | None = None
    """File that says what a site has (`protocol.sites`)."""
    port: int | None = None
    """A port of its own, where nothing else answers."""

    gateway: dict[str, Any] | None = None
    """What an API gateway does (`domain.gateways.gateway_document`)."""

    @property
    def reference(self) -> str:
        return f"{self.kind}/{self.name}"


def host_key(kind: str, name: str) -> str:
    """What an entry is known by in the table."""
    return f"{kind}/{name.lower()}"


def host_from(document: dict[str, Any]) -> HostEntry:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields: dict[str, Any] = {key: document[key] for key in HostEntry.__dataclass_fields__ if key in document}
    fields["hosts"] = tuple(document.get("hosts", ()))
    return HostEntry(**fields)


def entry_document(entry: EndpointEntry) -> dict[str, Any]:
    return asdict(entry)


def entry_from(document: dict[str, Any]) -> EndpointEntry:
    fields = {key: document[key] for key in EndpointEntry.__dataclass_fields__ if key in document}
    fields["replicas"] = tuple(ReplicaAddress(**one) for one in document["replicas"])
    fields["hosts"] = tuple(document.get("hosts", ()))
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
    hosts: dict[str, HostEntry] = field(default_factory=dict[str, HostEntry])
    """By `host_key`."""


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
    hosts: dict[str, HostEntry] | None = None
    """All that there are now; None where they are as before."""


def delta_of(
    old: Table, put: dict[str, EndpointEntry], drop: Iterable[str] = (), hosts: dict[str, HostEntry] | None = None
) -> Delta | None:
    """The delta from `old` to a table where these entries are put and those dropped, and these are the hosts (None
    leaves them), or None where it is that already."""
    changed = {key: entry for key, entry in put.items() if old.entries.get(key) != entry}
    gone = tuple(key for key in sorted(drop) if key in old.entries)
    others = hosts if hosts != old.hosts else None
    return Delta(old.number + 1, changed, gone, others) if changed or gone or others is not None else None


def apply_delta(table: Table, delta: Delta) -> Table | None:
    """The next table, or None where the delta does not follow this one."""
    if delta.number != table.number + 1:
        return None
    entries = {**table.entries, **delta.put}
    for key in delta.drop:
        entries.pop(key, None)
    return Table(delta.number, entries, table.hosts if delta.hosts is None else delta.hosts)


def table_after(table: Table, journal: Iterable[bytes]) -> Table:
    """The table that the lines of the journal lead to, each a delta's document. Those that it holds already are passed
    over; the first that cannot be read, the last one's half, ends it."""
    entries, hosts, number = dict(table.entries), table.hosts, table.number
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
        hosts = hosts if delta.hosts is None else delta.hosts
        number = delta.number
    return Table(number, entries, hosts)


def table_document(table: Table) -> dict[str, Any]:
    entries = {key: entry_document(entry) for key, entry in table.entries.items()}
    hosts = {key: asdict(one) for key, one in table.hosts.items()}
    return {"format": TABLE_FORMAT, "number": table.number, "entries": entries, "hosts": hosts}


def table_from(document: dict[str, Any]) -> Table:
    entries = {key: entry_from(entry) for key, entry in document["entries"].items()}
    return Table(document["number"], entries, _hosts_from(document.get("hosts", {})))


def _hosts_from(document: dict[str, Any]) -> dict[str, HostEntry]:
    return {key: host_from(one) for key, one in document.items()}


def delta_document(delta: Delta) -> dict[str, Any]:
    return {
        "number": delta.number,
        "put": {key: entry_document(entry) for key, entry in delta.put.items()},
        "drop": list(delta.drop),
        "hosts": {key: asdict(one) for key, one in delta.hosts.items()} if delta.hosts is not None else None,
    }


def delta_from(document: dict[str, Any]) -> Delta:
    put = {key: entry_from(entry) for key, entry in document["put"].items()}
    hosts = document.get("hosts")
    return Delta(document["number"], put, tuple(document["drop"]), _hosts_from(hosts) if hosts is not None else None)
