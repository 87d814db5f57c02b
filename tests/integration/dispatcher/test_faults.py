"""What queued invocations come to while the wire to the gateway misbehaves, and while the disk takes nothing."""

import asyncio
import shutil
import socketserver
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from modelyard.clock import SystemClock
from modelyard.dispatcher.loop import Dispatcher
from modelyard.dispatcher.sending import Attempt, Sender
from modelyard.domain.invocations import Invocation, InvocationRequest, InvocationStatus, Stored
from modelyard.errors import StoreFailed
from modelyard.protocol.routes import ATTEMPT
from modelyard.settings import Home
from modelyard.store.memory import MemoryStore
from tests.acceptance.fault_proxy import (
    CUT_ANSWER,
    CUT_REQUEST,
    NONE,
    RESET_ANSWER,
    RESET_REQUEST,
    SLOW,
    TRICKLE,
    Fault,
    FaultProxy,
)

LIMIT_SECONDS = 30.0
HASTE = 50.0


class HastyClock(SystemClock):
    """Its time passes so many times as fast: pauses before another attempt are short."""

    def __init__(self) -> None:
        self._began_at = time.time()

    def now(self) -> float:
        return self._began_at + (time.time() - self._began_at) * HASTE


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="yard-"))
    home = Home(root / "home")
    home.make()
    home.make_sockets()
    yield home
    shutil.rmtree(root, ignore_errors=True)


class Gateway:
    """Answers each prediction with its body, and counts how often it was asked for each."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.attempts: list[str] = []

    @contextmanager
    def at(self, place: Path) -> Generator[None]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                gateway.asked[self.headers["x-request-id"]] += 1
                gateway.attempts.append(self.headers[ATTEMPT])
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "dispatcher"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base's)
                """Nobody reads it."""

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that is gone is what this is about."""

        with Server(str(place), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield
            server.shutdown()
            thread.join(LIMIT_SECONDS)


def queued(store: MemoryStore, clock: SystemClock, count: int, attempts: int = 20) -> list[str]:
    now = clock.now()
    names = [f"n{number}" for number in range(count)]
    for name in names:
        body = f'"{name}"'.encode()
        request = InvocationRequest(
            Stored(len(body), name), "application/json", time_to_live_seconds=1e6, attempts=attempts
        )
        store.invocations.accept([(Invocation("price", name, request, now, now + 1e6, due_at=now), body)])
    return names


def dispatch(home: Home, store: MemoryStore, clock: SystemClock, names: list[str]) -> dict[str, Invocation]:
    """Runs a dispatcher until all have ended: what became of each."""

    def found() -> dict[str, Invocation]:
        return {name: store.invocations.get("price", name) for name in names}

    async def story() -> None:
        one = Dispatcher(home, store, clock, "http://127.0.0.1:1")
        running = asyncio.create_task(one.run(lambda: False))
        limit = time.monotonic() + LIMIT_SECONDS
        while any(each.ended_at is None for each in found().values()) and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        one.stop()
        await running

    asyncio.run(story())
    return found()


WIRES = {fault.name: fault for fault in (SLOW, TRICKLE, CUT_REQUEST, CUT_ANSWER, RESET_REQUEST, RESET_ANSWER)}


@pytest.mark.parametrize("fault", WIRES.values(), ids=WIRES)
def test_each_invocation_is_answered_once_over_a_bad_wire_and_is_told_which_attempt_it_is(
    home: Home, fault: Fault
) -> None:
    store, clock, gateway = MemoryStore(), HastyClock(), Gateway()
    names = queued(store, clock, 12)
    behind = home.sockets / "behind.s"
    with gateway.at(behind), FaultProxy(behind, (fault, NONE), at=home.predictions_socket) as wire:
        found = dispatch(home, store, clock, names)
        assert wire.befell[fault.name] > 0
    assert {one.status for one in found.values()} == {InvocationStatus.COMPLETED}
    for name, one in found.items():
        assert store.invocations.content(one.sequence, result=True) == f'"{name}"'.encode()
        # Whatever reached the predictor more than once was told so.
        assert one.attempt >= gateway.asked[name] >= 1
    assert gateway.attempts.count("1") <= len(names)


def test_what_fails_again_and_again_on_the_wire_is_a_dead_letter_that_says_so(home: Home) -> None:
    store, clock, gateway = MemoryStore(), HastyClock(), Gateway()
    (name,) = queued(store, clock, 1, attempts=2)
    behind = home.sockets / "behind.s"
    with gateway.at(behind), FaultProxy(behind, (CUT_ANSWER,), at=home.predictions_socket):
        one = dispatch(home, store, clock, [name])[name]
    assert (one.status, one.attempt, one.reason) == (InvocationStatus.FAILED, 2, "the gateway ended the connection")


@pytest.mark.parametrize("what", ["take", "finish"])
def test_while_the_disk_takes_nothing_no_answer_is_lost_and_none_is_asked_for_twice(home: Home, what: str) -> None:
    store, clock, gateway = MemoryStore(), HastyClock(), Gateway()
    names = queued(store, clock, 4)
    full = iter((True, True))
    inner: Callable[..., object] = getattr(store.invocations, what)

    def refusing(*words: object) -> object:
        if next(full, False):
            raise StoreFailed("cannot write: the disk is full")
        return inner(*words)

    setattr(store.invocations, what, refusing)
    with gateway.at(home.predictions_socket):
        found = dispatch(home, store, clock, names)
    assert {(one.status, one.attempt) for one in found.values()} == {(InvocationStatus.COMPLETED, 1)}
    assert gateway.asked == dict.fromkeys(names, 1)


def test_an_attempt_that_the_dispatcher_itself_fails_is_followed_by_another(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, clock, gateway = MemoryStore(), HastyClock(), Gateway()
    (name,) = queued(store, clock, 1)
    faults = iter((OSError(28, "No space left on device"),))
    inner = Sender.attempt

    async def attempt(self: Sender, one: Invocation, body: bytes) -> Attempt:
        for fault in faults:
            raise fault
        return await inner(self, one, body)

    monkeypatch.setattr(Sender, "attempt", attempt)
    with gateway.at(home.predictions_socket):
        one = dispatch(home, store, clock, [name])[name]
    assert (one.status, one.attempt) == (InvocationStatus.COMPLETED, 2)
