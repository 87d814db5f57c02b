"""How far long work is: moving on a terminal, a plain line now and then elsewhere. Always on standard error."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelyard.cli.output import remark
from modelyard.cli.times import size

if TYPE_CHECKING:
    from rich.status import Status

QUIET_SECONDS = 2.0
"""Work that is done sooner shows nothing but its result."""
PLAIN_SECONDS = 5.0
"""Between two lines where there is no terminal."""


class Waiting:
    """One changing sentence about what is waited for."""

    def __init__(self, every_seconds: float = 0.0) -> None:
        """`every_seconds` is the least time between two sentences, for those that change all the time."""
        self._began = time.monotonic()
        self._every_seconds = every_seconds
        self._said_at = 0.0
        self._said: str | None = None
        self._status: Status | None = None

    def show(self, sentence: str) -> None:
        if time.monotonic() - self._began < QUIET_SECONDS or sentence == self._said:
            return
        if time.monotonic() - self._said_at < self._every_seconds:
            return
        self._said, self._said_at = sentence, time.monotonic()
        if not sys.stderr.isatty():
            remark(sentence)
        elif self._status is None:
            self._status = _spinner(sentence)
            self._status.start()
        else:
            self._status.update(sentence)

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()


@contextmanager
def waiting(every_seconds: float = 0.0) -> Generator[Waiting]:
    shown = Waiting(every_seconds)
    try:
        yield shown
    finally:
        shown.stop()


def _spinner(sentence: str) -> "Status":
    from rich.console import Console  # noqa: PLC0415 (only work that takes seconds needs it)

    return Console(stderr=True).status(sentence)


class Sending:
    """Progress of an upload, as the sdk tells it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said_at = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, step: str, done_bytes: int, total_bytes: int) -> None:
        now = time.monotonic()
        if now - self._began < QUIET_SECONDS:
            return
        if sys.stderr.isatty():
            self._move(step, done_bytes, total_bytes)
        elif now - self._said_at >= PLAIN_SECONDS:
            self._said_at = now
            remark(f"{step}: {size(done_bytes)} of {size(total_bytes)}")

    def _move(self, step: str, done_bytes: int, total_bytes: int) -> None:
        if self._bar is None:
            from rich.console import Console  # noqa: PLC0415 (only work that takes seconds needs it)
            from rich.progress import Progress  # noqa: PLC0415 (likewise)

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(step, total=total_bytes)
            self._bar.start()
        self._bar.update(self._task, description=step, completed=done_bytes, total=total_bytes)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def sending() -> Generator[Sending]:
    shown = Sending()
    try:
        yield shown
    finally:
        shown.stop()
