"""Ports that apps, sites and gateways have for their own: which are to be open, and why one cannot be."""

import errno
from collections.abc import Collection, Mapping
from dataclasses import dataclass

UNPRIVILEGED_FROM = 1024


@dataclass(frozen=True, slots=True)
class Moves:
    """What leads from the ports that are open to those that are wished."""

    close: tuple[int, ...]
    open: tuple[int, ...]


def decide_moves(wished: Collection[int], opened: Collection[int], reserved: Collection[int]) -> Moves:
    """`reserved` are the yard's own ports: nothing else is opened there."""
    close = tuple(sorted(set(opened) - set(wished)))
    return Moves(close, tuple(sorted(set(wished) - set(opened) - set(reserved))))


@dataclass(frozen=True, slots=True)
class PortProblem:
    """Why nothing can listen at a port, as the end of a sentence, and what helps."""

    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.reason}; {self.remedy}"


RESERVED = PortProblem("the yard itself listens there", "choose another port, or another for the yard: `up --port`")


def problem_of(code: int | None, text: str, port: int) -> PortProblem:
    """`code` is what the system answered to listening there (errno(3)), `text` its words for it."""
    if code == errno.EADDRINUSE:
        return PortProblem("another program listens there", "end that program, or choose another port")
    if code in (errno.EACCES, errno.EPERM) and port < UNPRIVILEGED_FROM:
        return PortProblem(
            f"the system keeps ports below {UNPRIVILEGED_FROM} for others than this user",
            f"choose one from {UNPRIVILEGED_FROM} on, or lower net.ipv4.ip_unprivileged_port_start (sysctl)",
        )
    return PortProblem(f"the system does not let it: {text}", "choose another port")


def port_note(port: int, problem: str) -> str:
    """What people read of a port that is not open."""
    return f"port {port} is not open: {problem}; it is tried again"


def cookie_warning(ports: Mapping[str, int]) -> str:
    """What to know of these, by name, that are visited at a port of their own."""
    named = ", ".join(f"{name} at port {port}" for name, port in sorted(ports.items()))
    shares = "shares" if len(ports) == 1 else "share"
    return (
        f"{named} {shares} a host with the console and with every other port: browsers keep an app's own cookies by "
        "host, so each of them sees and can change those of the others; give what must not do that a host name"
    )
