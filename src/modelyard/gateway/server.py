"""The gateway: what its connections share, the table it follows, and its turn of the clock."""

import asyncio
import heapq
import resource
import secrets
import socket
import time
from email.utils import formatdate
from typing import Any

from modelyard.domain.access import BY_KEY, PUBLIC, policy_from
from modelyard.domain.names import nearest
from modelyard.domain.shadows import Comparison
from modelyard.gateway.access import Access
from modelyard.gateway.apis import Apis
from modelyard.gateway.captures import Captures, Taken
from modelyard.gateway.connection import HttpConnection
from modelyard.gateway.hosts import HOST_PORT, host_is_ours, name_of
from modelyard.gateway.identity import Identity
from modelyard.gateway.load import Loads
from modelyard.gateway.metrics import Measurements
from modelyard.gateway.origins import LOCAL, Origins
from modelyard.gateway.outgoing import Outgoing
from modelyard.gateway.patience import Limits, outstayed
from modelyard.gateway.ports import LISTEN_BACKLOG, Ports, Surroundings
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.refusals import Refusals
from modelyard.gateway.repeats import Repeats
from modelyard.gateway.service import Service
from modelyard.gateway.sites import Sites
from modelyard.gateway.tls import LOOK_SECONDS, MixedServer, Tls
from modelyard.gateway.tokens import Issuers
from modelyard.protocol.table import ENDPOINT, Delta, EndpointEntry, HostEntry, Table
from modelyard.protocol.tokens import TokenKey
from modelyard.settings import Home

TICK_SECONDS = 0.1
"""How exactly deadlines are kept."""

SWEEP_SECONDS = 1.0
"""How often it is looked for clients that have outstayed their welcome."""

LOOK_WHO_SECONDS = 10.0
"""How long a session that has expired may keep a WebSocket; one that was ended is looked for at the next sweep."""

CONNECTIONS_MAX = 16_384
FILES_RESERVED = 256
"""Open files that are kept for replicas, control, logs; the rest of what the process may open is for clients."""

LET_GO_AT_ONCE = 64
"""Idle connections that are closed together to make room, those idle longest first."""

KNOWN_HOSTS_MAX = 256

PORT_DRAIN_SECONDS = 10.0
"""How long requests under way may take that came to a port which is given up."""

_DEFAULT_PORTS = {b"http": 80, b"https": 443}


class Gateway:
    """Everything of one gateway process but its wiring. `names` are host names that the yard was told are its own;
    `predictions_are_open` says whether endpoints without a policy of their own answer everybody; below `apps_domain`
    apps and sites have their names, beside localhost."""

    def __init__(
        self,
        home: Home,
        names: frozenset[str],
        predictions_are_open: bool,
        apps_domain: str | None = None,
        targets: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.spool = str(home.spool)
        self.control_socket = str(home.control_socket)
        self.identity = Identity(TokenKey(home.token_key))
        self.access = Access(home.key, PUBLIC if predictions_are_open else BY_KEY, self.identity)
        self.refusals = Refusals()
        self.origins = Origins(apps_domain)
        self.ports = Ports()
        self.sites = Sites()
        self.repeats = Repeats()
        self.connections: set[HttpConnection] = set()
        self.services: dict[str, Service] = {}
        """Endpoints that have replicas or have been asked; the others are an entry of the table and no more."""
        self.services_by_path: dict[bytes, Service] = {}
        self.known_hosts: set[bytes] = set()
        self.held_bytes = 0
        self.limits = Limits()
        self.connections_max = _connections_max()
        self._swept_at = 0.0
        self._looked: tuple[int, float] = (0, 0.0)
        """At how many changes of access, and when, it was last looked who is there."""
        self.has_table = False
        self.draining = False
        self.tls: Tls | None = None
        self.now = self.loop.time()
        self.date_line = b""
        self.id_prefix = secrets.token_hex(4).encode()
        self.stuck: dict[str, float] = {}
        """Replicas to report, with the seconds that their call has taken."""
        self.outgoing = Outgoing(targets)
        self.issuers = Issuers(self.outgoing)
        self.apis = Apis(self.access.by_default, home.logs / "gateways", home.usages)
        self.loads = Loads()
        self.measurements = Measurements()
        self.captures = Captures(home.captures / "spool", self.id_prefix.decode())
        self._names = names | {apps_domain} if apps_domain is not None else names
        self._login_name = min(names, default=apps_domain or LOCAL)
        self._port = 0
        self._home = home
        self._stream = 0
        self._table = Table(0, {})
        self._busy: set[Service] = set()

    # -- for predictions ---------------------------------------------------------------------------------------------

    def observe(self, prediction: Prediction, status: int, head: bytes, body: bytes) -> None:
        """A whole answer of a service that is observed leaves."""
        if prediction.service.entry.capture is not None:
            self.captures.take(prediction, status, head, body)
        if self.measurements.tracer is not None:
            self.measurements.tracer.take(prediction, status)

    def observe_parts(self, prediction: Prediction, status: int, head: bytes) -> Taken | None:
        """The first part of such an answer leaves: what is to be told the others, if anything."""
        if self.measurements.tracer is not None:
            self.measurements.tracer.take(prediction, status)
        return self.captures.begin(prediction, status, head) if prediction.service.entry.capture is not None else None

    # -- for connections ---------------------------------------------------------------------------------------------

    def welcome(self, connection: HttpConnection) -> None:
        """Takes a client in; where the house is full, those that have been idle longest go, or it goes itself."""
        if len(self.connections) >= self.connections_max:
            idle = heapq.nsmallest(
                LET_GO_AT_ONCE, (one for one in self.connections if one.is_idle), key=lambda one: one.idle_since
            )
            for one in idle or (connection,):
                one.transport.abort()
                self.connections.discard(one)
            if not idle:
                return
        self.connections.add(connection)

    def next_stream(self) -> int:
        self._stream += 1
        return self._stream

    def next_id(self) -> bytes:
        """Of a request whose client gave it none."""
        return b"%b%016x" % (self.id_prefix, self.next_stream())

    def check_host(self, host: bytes) -> bool:
        if self.origins.find(host) is not None:
            return True
        if not self._is_own_name(host):
            return False
        if len(self.known_hosts) < KNOWN_HOSTS_MAX:
            self.known_hosts.add(host)
        return True

    def check_host_at_port(self, host: bytes, entry: HostEntry) -> bool:
        """At a port of its own an app answers to the yard's names and its own, but not to another's: a browser would
        send it what is that one's."""
        found = self.origins.find(host)
        return self._is_own_name(host) if found is None else found is entry

    def _is_own_name(self, host: bytes) -> bool:
        label = self.origins.label_of(host)
        return (label is None or name_of(host) in self._names) and host_is_ours(host, self._names)

    def origin_of(self, host: bytes | None) -> HostEntry | None:
        """Whose a Host header is that was checked; None where it is the yard's own."""
        return None if host is None or host in self.known_hosts else self.origins.find(host)

    def login_host(self, host: bytes, scheme: bytes, *, at_own_port: bool) -> bytes:
        """The yard's own host, where somebody signs in who came to `host`: with the port that they came to, or the
        yard's own where that was a port of an app's own. There, a name that is the yard's stays as it is."""
        found = name_of(host) or ""
        name = LOCAL if found.endswith(f".{LOCAL}") else self._login_name
        if not at_own_port:
            given = HOST_PORT.search(host)
            return name.encode() + (given[0] if given is not None else b"")
        if self.origins.find(host) is None:
            name = found
        port = self.tls.place.port if self.tls is not None else self._port
        return name.encode() + (b"" if port == _DEFAULT_PORTS[scheme] else b":%d" % port)

    def nearest_endpoint(self, name: str) -> str:
        close = nearest(name, (entry.name for entry in self._table.entries.values()))
        return f"did you mean {close}?" if close else "`modelyard get` lists the endpoints"

    def metrics(self) -> str:
        """What this gateway counted, as Prometheus text."""
        return self.measurements.own_text(self.services.values(), len(self.connections), self._table)

    def metrics_report(self, *, everything: bool = False) -> dict[str, Any]:
        """The message with what this gateway counted: what has changed, or everything."""
        return self.measurements.report(self.services.values(), len(self.connections), everything=everything)

    def shadows(self) -> dict[str, Comparison]:
        """What comparing has come to for each endpoint whose wished version is a shadow, by `name_key`."""
        return {
            key: one.shadow.comparison
            for key, one in self.services.items()
            if one.shadow is not None and one.entry.candidate is not None
        }

    # -- the table ---------------------------------------------------------------------------------------------------

    def follow(self, table: Table) -> None:
        """Makes the services what the table says."""
        known = self._table.entries
        self._table = table
        for key in [one for one in known if one not in table.entries]:
            self._drop(key)
        for key, entry in table.entries.items():
            self._put(key, entry)
        self._split_anew()
        self._follow_hosts(table)
        self.has_table = True

    def follow_delta(self, table: Table, delta: Delta) -> None:
        """The same, where `delta` is what led to the table."""
        self._table = table
        for key in delta.drop:
            self._drop(key)
        for key, entry in delta.put.items():
            self._put(key, entry)
        self._split_anew()
        if delta.hosts is not None:
            self._follow_hosts(table)

    def _follow_hosts(self, table: Table) -> None:
        self.origins.follow(table.hosts)
        self.ports.follow(table.hosts)
        self.apis.follow(table.hosts)
        self.known_hosts.clear()
        self.repeats.forget()
        self.access.forget()

    def service(self, key: str) -> Service | None:
        """The endpoint of that `name_key`, or None where there is none."""
        service = self.services.get(key)
        if service is None:
            entry = self._table.entries.get(key)
            service = self._serve(key, entry) if entry is not None else None
        return service

    def _put(self, key: str, entry: EndpointEntry) -> None:
        service = self.services.get(key)
        if service is not None:
            if service.entry != entry:
                self._update(service, entry)
        elif entry.replicas:
            self._serve(key, entry)

    def _serve(self, key: str, entry: EndpointEntry) -> Service:
        service = Service(
            entry, self.id_prefix.decode(), self._report_stuck, self.loads, self.measurements, self._busy.add
        )
        self.services[key] = service
        self._update(service, entry)
        return service

    def _update(self, service: Service, entry: EndpointEntry) -> None:
        service.update(entry)
        if entry.kind == ENDPOINT:
            self.services_by_path[_path_of(entry)] = service
        else:
            self.services_by_path.pop(_path_of(entry), None)
        if entry.members:
            service.split_between(entry.members, self.service)
        service.policy = policy_from(entry.access) if entry.access is not None else self.access.by_default
        self.access.forget()

    def _split_anew(self) -> None:
        """Members of traffic splitters may have come or gone."""
        for service in [one for one in self.services.values() if one.entry.members]:
            service.split_between(service.entry.members, self.service)

    def _drop(self, key: str) -> None:
        service = self.services.pop(key, None)
        if service is not None:
            self.services_by_path.pop(_path_of(service.entry), None)
            service.close()
            self.measurements.changed.discard(service)

    # -- life --------------------------------------------------------------------------------------------------------

    async def serve(
        self,
        listening: socket.socket,
        encrypted: socket.socket | None = None,
        tls: Tls | None = None,
        trusted: socket.socket | None = None,
    ) -> list[asyncio.Server]:
        """Answers on `listening` and, with `tls`, on `encrypted`; on `trusted`, a Unix socket, to the yard's own
        processes alone."""
        self.tls = tls
        self._port = listening.getsockname()[1]
        self._turn()
        around = self._surroundings(listening, encrypted)
        servers = [await self.loop.create_server(lambda: HttpConnection(self), sock=listening, backlog=LISTEN_BACKLOG)]
        if encrypted is not None and tls is not None:
            servers.append(
                await self.loop.create_server(
                    lambda: HttpConnection(self, is_encrypted=True),
                    sock=encrypted,
                    ssl=tls.context,
                    backlog=LISTEN_BACKLOG,
                )
            )
            self._look_at_certificate(tls)
        self.ports.start(around)
        if trusted is not None:
            own = await self.loop.create_unix_server(lambda: HttpConnection(self, trusted=True), sock=trusted)
            servers.append(own)
        return servers

    def _surroundings(self, listening: socket.socket, encrypted: socket.socket | None) -> Surroundings:
        own = [one.getsockname() for one in (listening, encrypted) if one is not None]
        return Surroundings(
            family=listening.family,
            address=str(own[0][0]),
            reserved=frozenset(int(one[1]) for one in own),
            supervisor=self._home.supervisor_socket,
            notes=self._home.ports,
            serve=self._serve_port,
            leave=self._leave_port,
        )

    async def _serve_port(self, listening: socket.socket, port: int) -> asyncio.Server | MixedServer:
        def made(encrypted: bool = False) -> HttpConnection:
            return HttpConnection(self, is_encrypted=encrypted, own_port=port)

        if self.tls is not None:
            return MixedServer(listening, self.tls.context, made)
        return await self.loop.create_server(made, sock=listening, backlog=LISTEN_BACKLOG)

    def _leave_port(self, port: int) -> None:
        """Idle connections are closed at once; the others when they have been answered, or the limit is over."""
        leaving = [one for one in self.connections if one.own_port == port]
        for one in leaving:
            one.leave()
        self.loop.call_later(PORT_DRAIN_SECONDS, lambda: [one.transport.close() for one in leaving])

    def _look_at_certificate(self, tls: Tls) -> None:
        tls.look()
        self.loop.call_later(LOOK_SECONDS, self._look_at_certificate, tls)

    async def drain(self, limit_seconds: float) -> None:
        """Lets what is under way finish; idle connections are closed at once, and so are answers without an end."""
        self.draining = True
        self.ports.stop()
        for connection in list(self.connections):
            if connection.active is None or connection.is_endless:
                connection.transport.close()
        limit = self.loop.time() + limit_seconds
        while self.connections and self.loop.time() < limit:
            await asyncio.sleep(TICK_SECONDS)

    def _turn(self) -> None:
        self.now = now = self.loop.time()
        self.date_line = b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()
        for service in list(self._busy):
            if not service.tick(now):
                self._busy.discard(service)
        self.loads.look()
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            self.apis.flush()
            self._sweep(now)
        self.loop.call_later(TICK_SECONDS, self._turn)

    def _sweep(self, now: float) -> None:
        changes, looked_at = self._looked
        looks = changes != self.access.changes or now - looked_at >= LOOK_WHO_SECONDS
        if looks:
            self._looked = (self.access.changes, now)
        for connection in list(self.connections):
            if outstayed(connection.sight(), now, self.limits):
                connection.transport.abort()
            elif looks:
                connection.look_who_is_there()

    def _report_stuck(self, replica: str, seconds: float) -> None:
        self.stuck[replica] = seconds


def _path_of(entry: EndpointEntry) -> bytes:
    return f"/endpoints/{entry.name}/invocations".encode()


def _connections_max() -> int:
    """As many clients as the process may have files open, or the named limit."""
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if files_max < 0 else max(FILES_RESERVED, min(CONNECTIONS_MAX, files_max - FILES_RESERVED))
