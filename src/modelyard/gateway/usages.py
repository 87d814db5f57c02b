"""What is left of usage plans, in one small file for each API gateway: all gateway processes count in it, and one that
starts anew goes on where the last one was, so that neither a crash nor another process gives anybody a full plan.

A record belongs to one key and is read, decided on and written under a lock of its own, which lasts some microseconds
and ends with the process that holds it. Nothing is synced to the disk: what the kernel has survives every process, and
a machine that goes down may forget the last seconds.

Where the file cannot be used, plans are counted in memory: a full disk must neither open nor close anybody's gateway.
"""

import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelyard.domain.usage import Plan, Usage, Verdict, ask, begin
from modelyard.protocol.usages import RECORD_BYTES, RECORDS_MAX, UsageRecord, digest_of

_BEYOND = RECORDS_MAX * RECORD_BYTES
"""The byte that is locked while a record is given to a name."""

_log = logging.getLogger("modelyard.gateway")


class Usages:
    """Of one API gateway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        self._in_memory: dict[str, Usage] = {}
        self._file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _log.error("cannot open %s: %s; usage plans are counted in memory", path, error)

    def spend(self, name: str, plan: Plan, now: float) -> Verdict:
        """Counts one more request of somebody, if it is allowed."""
        if self._file >= 0:
            try:
                return self._spend(name, plan, now)
            except OSError as error:
                _log.error("cannot use %s: %s; usage plans are counted in memory", self._path, error)
                self.close()
        verdict = ask(plan, self._in_memory.get(name) or begin(plan, now), now)
        self._in_memory[name] = verdict.usage
        return verdict

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def forget(self) -> None:
        """The API gateway is gone for good."""
        self.close()
        with suppress(OSError):
            self._path.unlink()

    def _spend(self, name: str, plan: Plan, now: float) -> Verdict:
        digest = digest_of(name)
        while True:
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = self._place_of(digest, plan, now)
            with self._locked(place, RECORD_BYTES):
                found = UsageRecord.from_bytes(self._record(place))
                if found.digest != digest:
                    # It was given to another name meanwhile.
                    del self._places[name]
                    continue
                verdict = ask(plan, found.usage, now)
                if verdict.allowed:
                    self._write(place, digest, verdict.usage)
                return verdict

    def _place_of(self, digest: bytes, plan: Plan, now: float) -> int:
        """Where the record of a name is; where there is none, one begins with a full plan."""
        with self._locked(_BEYOND, 1):
            held = os.pread(self._file, _BEYOND, 0)
            for at in range(0, len(held), RECORD_BYTES):
                if held.startswith(digest, at):
                    return at
            if len(held) < _BEYOND:
                place = len(held)
            else:
                place = min(range(0, _BEYOND, RECORD_BYTES), key=lambda at: UsageRecord.from_bytes(held, at).usage.at)
            with self._locked(place, RECORD_BYTES):
                self._write(place, digest, begin(plan, now))
            return place

    def _record(self, place: int) -> bytes:
        found = os.pread(self._file, RECORD_BYTES, place)
        if len(found) != RECORD_BYTES:
            raise OSError("it is shorter than it was")
        return found

    def _write(self, place: int, digest: bytes, usage: Usage) -> None:
        os.pwrite(self._file, UsageRecord(digest, usage).to_bytes(), place)

    @contextmanager
    def _locked(self, place: int, size: int) -> Generator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, size, place)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, size, place)
