"""Keeps the disk in order while the yard runs: frees what nothing needs, hourly, and bounds logs as they grow."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from modelyard_worker.records import OUTPUT

from modelyard.clock import Clock
from modelyard.controller.periodic import Periodic
from modelyard.domain.invocations import RESULTS_KEPT_SECONDS
from modelyard.domain.retention import Surplus
from modelyard.errors import ModelyardError, NotReady
from modelyard.settings import CareSettings, Home
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.ports import Artifacts, Store
from modelyard.store.retention import collect
from modelyard.store.rotation import rotate

COLLECT_FIRST_SECONDS = 60.0
"""After the start: a yard that comes up has better things to do."""

COLLECT_SECONDS = 3600.0

ROTATE_SECONDS = 5.0
"""How often logs are looked at: between two looks one may grow over its bound by what is printed then."""

ROTATE_JOBS_SECONDS = 1.0
"""The same of jobs, whose scripts print what they like."""

_log = logging.getLogger("modelyard.controller")


class Care:
    def __init__(self, home: Home, store: Store, artifacts: Artifacts, care: CareSettings, clock: Clock) -> None:
        self._home = home
        self._store = store
        self._artifacts = artifacts
        self._care = care
        self._clock = clock
        now = clock.monotonic()
        self._collecting = Periodic(now + COLLECT_FIRST_SECONDS, COLLECT_SECONDS, self._collect)
        self._rotating = Periodic(now + ROTATE_SECONDS, ROTATE_SECONDS, lambda: self._rotate(self._logs()))
        self._rotating_jobs = Periodic(
            now + ROTATE_JOBS_SECONDS, ROTATE_JOBS_SECONDS, lambda: self._rotate(self._logs_of_jobs())
        )

    def __call__(self) -> None:
        """Begins in the background what is due."""
        now = self._clock.monotonic()
        self._collecting(now)
        self._rotating(now)
        self._rotating_jobs(now)

    async def close(self) -> None:
        """Lets what is under way end."""
        await self._collecting.close()
        await self._rotating.close()
        await self._rotating_jobs.close()

    def _collect(self) -> None:
        try:
            self._forget_invocations()
            freed = collect(self._home, self._store, self._artifacts, self._care, self._clock.now())
        except NotReady as error:
            _log.info("%s", error.message)
        except (ModelyardError, OSError) as error:
            _log.error("cannot free disk: %s", error)
        else:
            if freed:
                _log.info("%s", sentence(freed))

    def _forget_invocations(self) -> None:
        """Queued invocations that ended long ago, with their files, and files that no invocation has."""
        invocations, files = self._store.invocations, InvocationFiles(self._home.invocations)
        before = self._clock.now() - RESULTS_KEPT_SECONDS
        while forgotten := invocations.forget_ended(before):
            files.drop(one.request.body.file for one in forgotten)
            files.drop(one.result.stored.file for one in forgotten if one.result is not None)
        files.drop_leftovers(invocations.files())

    def _rotate(self, logs: Iterable[Path]) -> None:
        for path in logs:
            try:
                if rotate(path, self._care.log_bytes_max):
                    _log.info("%s has begun anew; its earlier part is beside it", path)
            except ModelyardError as error:
                _log.error("%s", error.message)

    def _logs(self) -> list[Path]:
        kinds = ("templates", "replicas")
        return [
            *self._home.logs.glob("*.log"),
            *(path for kind in kinds for path in self._home.engine.glob(f"{kind}/*/{OUTPUT}")),
        ]

    def _logs_of_jobs(self) -> list[Path]:
        return list(self._home.engine.glob(f"jobs/*/{OUTPUT}"))


def sentence(freed: list[Surplus]) -> str:
    """`freed 3.1 MB: 2 artifact, 1 package`."""
    counts = Counter(one.kind.value for one in freed)
    amount = sum(one.size_bytes for one in freed) / 1e6
    return f"freed {amount:.1f} MB: {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}"
