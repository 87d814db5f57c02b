"""Ports of their own: whether one is free to be had, and how it is with those that were had."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelyard_worker.records import read_json

from modelyard.api.yard import Yard
from modelyard.domain.hosts import own_address
from modelyard.domain.ports import RESERVED, PortProblem, port_note, problem_of
from modelyard.protocol.ports import read_ports


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the yard itself listens."""

    host: str
    port: int
    tls_port: int | None


def listening_of(yard: Yard) -> Listening | None:
    """None where nothing is written of it: the yard is not up, or is being started."""
    written = read_json(str(yard.home.yard)) or {}
    if not isinstance(written.get("host"), str) or not isinstance(written.get("port"), int):
        return None
    return Listening(written["host"], written["port"], written.get("tls_port"))


def problem_at(yard: Yard, port: int) -> PortProblem | None:
    """Why nothing of the yard could listen there, as far as it can be known before it is tried."""
    own = listening_of(yard)
    if own is None:
        return None
    if port in (own.port, own.tls_port):
        return RESERVED
    if read_ports(yard.home.ports).get(port, "") is None:
        # A gateway of ours listens there already.
        return None
    family = socket.AF_INET6 if ":" in own.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((own.host, port))
        except OSError as error:
            return problem_of(error.errno, error.strerror or str(error), port)
    return None


@dataclass(frozen=True, slots=True)
class OwnPorts:
    """How it is with the ports that were had."""

    encrypted: bool = False
    """Whether they speak TLS."""
    problems: Mapping[int, str | None] = field(default_factory=dict[int, str | None])

    def address(self, origin: str, name: str, hosts: Sequence[str], port: int | None) -> str:
        """Where it is visited by whoever reached the yard at `origin`."""
        return own_address(origin, name, hosts, port, encrypted=self.encrypted)

    def notes(self, port: int | None) -> list[str]:
        """What people should know of one."""
        problem = self.problems.get(port) if port is not None else None
        return [] if port is None or problem is None else [port_note(port, problem)]


def own_ports(yard: Yard) -> OwnPorts:
    """As it is now."""
    own = listening_of(yard)
    return OwnPorts(own is not None and own.tls_port is not None, read_ports(yard.home.ports))
