"""`python -m modelyard.processes.gateway --home PATH --fd N`: fronts everything on an inherited socket."""

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from modelyard.domain.addresses import targets_from
from modelyard.gateway.follower import follow_table
from modelyard.gateway.server import Gateway
from modelyard.gateway.tls import Tls, TlsPlace
from modelyard.log import start_log
from modelyard.settings import Home, TracesSettings, traces_from

if TYPE_CHECKING:
    from modelyard.gateway.trace_export import Exporter

TARGETS = "MODELYARD_GATEWAY_TARGETS"
"""Addresses, `ADDRESS:PORT` with spaces between, that routes of API gateways may lead to although they are on this
machine."""

DRAIN_SECONDS = 10.0
"""How long requests under way may take when the gateway is told to go."""

OWN_BACKLOG = 512
GC_THRESHOLD = 50_000
"""Young objects before a collection: requests leave no cycles, so looking for them often is waste."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Sockets that were inherited, and what the encrypted one is encrypted with."""

    plain: socket.socket
    encrypted: socket.socket | None = None
    tls: Tls | None = None
    own_ports: tuple[socket.socket, ...] = ()
    """Of apps, sites and gateways with ports of their own."""


async def serve(
    home: Home, listening: Listening, names: frozenset[str], predictions_are_open: bool, apps_domain: str | None
) -> None:
    log = start_log("gateway")
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    _clear_spool(home.spool)
    targets = targets_from(os.environ.get(TARGETS, "").split())
    gateway = Gateway(home, names, predictions_are_open, apps_domain, targets)
    exporter = _export_traces(gateway, traces_from(os.environ))
    follower = loop.create_task(follow_table(gateway, home, gateway.id_prefix.decode()))
    gateway.ports.inherit(listening.own_ports)
    handover = _offer_sockets(loop, home.gateway_socket, listening, gateway)
    servers = await gateway.serve(
        listening.plain, listening.encrypted, listening.tls, _own_socket(home.predictions_socket)
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    for one in listening.plain, listening.encrypted:
        if one is not None:
            log.info("listening on %s:%s", *one.getsockname()[:2])
    await stop.wait()
    for server in servers:
        server.close()
    loop.remove_reader(handover)
    handover.close()
    await gateway.drain(DRAIN_SECONDS)
    gateway.captures.close()
    if exporter is not None:
        await loop.run_in_executor(None, exporter.close)
    follower.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    log.info("stopped")


def _export_traces(gateway: Gateway, settings: TracesSettings) -> "Exporter | None":
    if settings.endpoint is None:
        return None
    # What it takes stays out of a gateway that traces nothing.
    from modelyard.gateway.trace_export import Exporter  # noqa: PLC0415
    from modelyard.gateway.traces import Tracer  # noqa: PLC0415

    tracer = gateway.measurements.tracer = Tracer(settings.sample_share)
    return Exporter(tracer, settings.endpoint)


def _offer_sockets(
    loop: asyncio.AbstractEventLoop, path: Path, listening: Listening, gateway: Gateway
) -> socket.socket:
    """A supervisor that comes after a dead one gets the listening sockets here, so that no client is ever refused."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    offer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    offer.bind(str(path))
    path.chmod(0o600)
    offer.listen(4)
    offer.setblocking(False)

    def give() -> None:
        with contextlib.suppress(OSError):
            asked, _ = offer.accept()
            with asked:
                asked.setblocking(False)
                own = [one for one in (listening.plain, listening.encrypted) if one is not None]
                sockets = [one.fileno() for one in (*own, *gateway.ports.listening())]
                socket.send_fds(asked, [b"listening"], sockets)

    loop.add_reader(offer, give)
    return offer


def _own_socket(path: Path) -> socket.socket:
    """Where the yard's own processes ask, for its owner alone."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    own.bind(str(path))
    path.chmod(0o600)
    own.listen(OWN_BACKLOG)
    return own


def _clear_spool(folder: Path) -> None:
    """Bodies that a dead gateway kept belong to nobody now."""
    for left in folder.glob("body-*"):
        with contextlib.suppress(OSError):
            left.unlink()


def _allow_connections() -> None:
    """As many open files as this user may have; each client takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-gateway")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True, help="inherited listening socket")
    parser.add_argument("--name", action="append", default=[], help="host name that is this yard's")
    parser.add_argument("--predictions-need-key", action="store_true")
    parser.add_argument("--apps-domain", help="domain below which apps and sites have their names")
    parser.add_argument("--tls-fd", type=int, help="inherited listening socket for TLS")
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument(
        "--port-fd", type=int, action="append", default=[], help="inherited socket of an app's own port"
    )
    given = parser.parse_args()
    _allow_connections()
    names = frozenset(str(name).lower() for name in given.name)
    uvloop.run(serve(Home(given.home), _listening(given), names, not given.predictions_need_key, given.apps_domain))
    return 0


def _listening(given: argparse.Namespace) -> Listening:
    plain = socket.socket(fileno=given.fd)
    own_ports = tuple(socket.socket(fileno=one) for one in given.port_fd)
    if given.tls_fd is None:
        return Listening(plain, own_ports=own_ports)
    encrypted = socket.socket(fileno=given.tls_fd)
    place = TlsPlace(given.tls_certificate, given.tls_key, int(encrypted.getsockname()[1]))
    return Listening(plain, encrypted, Tls(place), own_ports)


if __name__ == "__main__":
    sys.exit(main())
