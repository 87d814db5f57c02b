"""Measures a case: its servers started, their answers compared, then load in turns.

Hand-written peers run beside ours, and a round measures all of them one after the other, so that what disturbs the
machine for a while disturbs both sides of a ratio. Frameworks are heavy also when nobody asks them, so each is started
alone, measured, and ended before the next.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.environments import CannotBuild
from bench.serving.agreement import DifferentAnswer, check_agreement
from bench.serving.alone import ALONE, WHAT, call_alone
from bench.serving.cases import Case, asked
from bench.serving.costs import pss_bytes
from bench.serving.first_byte import FirstByte, first_bytes
from bench.serving.load import Load, put_load
from bench.serving.servers import PEERS, CannotStart, Peer, Server, running
from bench.serving.yard import Yard

WARM_UP_SECONDS = 1
FRAMEWORK_WARM_UP_SECONDS = 3
"""Adaptive batchers learn from what comes."""

FIRST_BYTES = 60
"""Requests of one measurement of the first byte."""

STREAM = "stream"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: int
    connections: tuple[int, ...] | None
    """None takes what each case names."""


@dataclass(slots=True)
class Found:
    """What a case gave."""

    case: Case
    loads: list[Load] = field(default_factory=list[Load])
    first_bytes: dict[str, list[FirstByte]] = field(default_factory=dict[str, list[FirstByte]])
    pss_bytes: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """By server and role, after the load."""
    what: dict[str, str] = field(default_factory=dict[str, str])
    absent: dict[str, str] = field(default_factory=dict[str, str])
    """Peers that could not take part, and why."""


def measure(
    case: Case, peers: Sequence[str], yard: Yard, models: Path, folder: Path, effort: Effort, tell: Tell
) -> Found:
    """Everything of one case. A peer that cannot be started, or answers something else, is noted and left out."""
    found = Found(case)
    chosen = [PEERS[name] for name in case.peers if name in peers]
    beside = [peer for peer in chosen if peer.environment is None]
    with ExitStack() as stack:
        servers = [yard.server(case.name)]
        for peer in beside:
            servers += _started(stack, peer, found, models, folder, tell)
        servers = [server for server in servers if _agrees(server, found, models, tell)]
        alone = models if case.ideal_requests_per_second is not None else None
        _measure_in_turns(found, servers, folder, effort, tell, alone=alone)
    for peer in chosen:
        if peer.environment is None:
            continue
        with ExitStack() as stack:
            servers = _started(stack, peer, found, models, folder, tell)
            servers = [server for server in servers if _agrees(server, found, models, tell)]
            _measure_in_turns(found, servers, folder, effort, tell, FRAMEWORK_WARM_UP_SECONDS)
    return found


def _started(stack: ExitStack, peer: Peer, found: Found, models: Path, folder: Path, tell: Tell) -> list[Server]:
    try:
        return [stack.enter_context(running(peer, found.case, models, folder))]
    except (CannotStart, CannotBuild) as reason:
        found.absent[peer.name] = str(reason)
        tell(f"{found.case.name}: without {peer.name}: {reason}")
        return []


def _agrees(server: Server, found: Found, models: Path, tell: Tell) -> bool:
    if found.case.name == STREAM:
        return True
    try:
        count = check_agreement(server, found.case, models)
    except DifferentAnswer as reason:
        if server.name not in PEERS:
            raise
        found.absent[server.name] = str(reason)
        tell(f"{found.case.name}: without {server.name}: {reason}")
        return False
    tell(f"{found.case.name}: {server.name} gives the right answers to {count} requests, singly and at once")
    return True


def _measure_in_turns(
    found: Found,
    servers: Sequence[Server],
    folder: Path,
    effort: Effort,
    tell: Tell,
    warm_up_seconds: int = WARM_UP_SECONDS,
    alone: Path | None = None,
) -> None:
    """`alone` is where the models lie, where the work alone is measured beside the servers."""
    if not servers:
        return
    case = found.case
    connections = effort.connections or case.connections
    bodies = {server.name: folder / f"{case.name}-{server.name}.json" for server in servers}
    for server in servers:
        bodies[server.name].write_bytes(server.shape.body(asked(case)))
        found.what[server.name] = server.what
        if case.name != STREAM:
            put_load(case.name, server, bodies[server.name], max(connections), warm_up_seconds)
    for number in range(effort.rounds):
        # Every round begins with another server, so that none is always measured after the same one.
        turn = number % len(servers)
        for server in [*servers[turn:], *servers[:turn]]:
            if case.name == STREAM:
                times = first_bytes(server.url, bodies[server.name].read_bytes(), FIRST_BYTES)
                found.first_bytes.setdefault(server.name, []).extend(times)
        for count in connections if case.name != STREAM else ():
            for server in [*servers[turn:], *servers[:turn]]:
                load = put_load(case.name, server, bodies[server.name], count, effort.seconds)
                found.loads.append(load)
                tell(
                    f"{case.name}: round {number + 1}/{effort.rounds}, {count:>2} connections, {server.name:<11}"
                    f"{load.requests_per_second:>9,.0f} requests/s, p50 {load.p50_seconds * 1e3:.3f} ms"
                    + (f", {load.errors} errors" if load.errors else "")
                )
            if alone is not None:
                found.loads.append(call_alone(case, alone, count, effort.seconds))
    if alone is not None:
        found.what[ALONE], found.pss_bytes[ALONE] = WHAT, {}
    for server in servers:
        found.pss_bytes[server.name] = {role: pss_bytes(pids) for role, pids in server.processes.items()}
