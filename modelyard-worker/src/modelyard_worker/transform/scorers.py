"""The processes that score, as the coordinator has them: forked, given one piece each, killed when a call hangs."""

import os
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, Optional

from modelyard_worker.transform import messages
from modelyard_worker.transform.plan import TransformPlan

LOAD_SECONDS_MAX = 600.0
"""How long a package may take to load."""


class Scorer:
    """One process and what it is at."""

    def __init__(self, plan: TransformPlan, threads: int) -> None:
        self.wire, theirs = socket.socketpair()
        self._seconds = plan.timeout_seconds
        self.work: Optional[Any] = None
        """What it was given and has not answered."""
        self.given_at = 0.0
        self.ready = False
        self.deadline = time.monotonic() + LOAD_SECONDS_MAX
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(self.wire, theirs, plan, threads, parent)
        theirs.close()

    def give(self, work: Any, head: Dict[str, Any], body: bytes) -> None:
        """Raises OSError where it is gone."""
        self.work = work
        self.given_at = time.monotonic()
        self.touch()
        messages.send(self.wire, head, body)

    def touch(self) -> None:
        """It said something: its present call has all of its time."""
        self.deadline = time.monotonic() + self._seconds

    def end(self) -> str:
        """Kills it where it lives; how it ended, in words."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return "it is gone"
        finally:
            self.wire.close()
        if os.WIFSIGNALED(status):
            return f"it was killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"it ended with exit code {os.WEXITSTATUS(status)}"


def _live(ours: socket.socket, theirs: socket.socket, plan: TransformPlan, threads: int, parent: int) -> None:
    """The forked process's whole life; it never returns to the coordinator's code."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        ours.close()
        from modelyard_worker.transform.scorer import run_scorer

        code = run_scorer(theirs, plan, threads, parent)
    except BaseException:  # noqa: BLE001 (whatever it was is told, and ends this process alone)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Scorers:
    """All of them, and who has something to say."""

    def __init__(self, plan: TransformPlan, count: int, threads: int) -> None:
        self._plan = plan
        self._threads = threads
        self.selector = selectors.DefaultSelector()
        self.all: List[Scorer] = []
        for _ in range(count):
            self.start()

    def start(self) -> None:
        one = Scorer(self._plan, self._threads)
        self.all.append(one)
        self.selector.register(one.wire, selectors.EVENT_READ, one)

    def idle(self) -> Optional[Scorer]:
        return next((one for one in self.all if one.ready and one.work is None), None)

    def end(self, one: Scorer) -> str:
        self.selector.unregister(one.wire)
        self.all.remove(one)
        return one.end()

    def overdue(self) -> List[Scorer]:
        now = time.monotonic()
        return [one for one in self.all if (one.work is not None or not one.ready) and one.deadline < now]

    def close(self) -> None:
        for one in list(self.all):
            self.end(one)
        self.selector.close()
