"""Environments of packages: replicas and runs that need one wait until it is built, in the background.

A version whose environment is not there yet starts nothing; what served before serves on. Where the environment cannot
be built, a version that was never ready is failed with uv's own words; a deploy after that is a new version, and so
tries again. One that was ready before is tried again after RETRY_SECONDS.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelyard_worker.packages import Package, read_package
from modelyard_worker.records import EXIT, ORDER, write_exit, write_json

from modelyard.clock import Clock
from modelyard.domain.actions import Action, Decision, MarkFailed, Start
from modelyard.domain.endpoints import BUILDING, Endpoint, EndpointState, VersionState
from modelyard.domain.names import name_key
from modelyard.errors import ModelyardError
from modelyard.packaging.environments import Environments, reason_of
from modelyard.packaging.requirements import requested_environment
from modelyard.store.ports import Artifacts, Store

RETRY_SECONDS = 60.0
"""Between two attempts to build what a version needs that was ready before."""

COLLECT_SECONDS = 3600.0
"""Between two looks for environments that nobody needs."""

LOOK_SECONDS = 1.0
"""How often it is seen whether a run is still wanted whose environment is being built."""

LOG_NAME_LENGTH_MAX = 40

_log = logging.getLogger("modelyard.controller")


@dataclass(slots=True)
class _Build:
    """An environment on its way, for one version of an endpoint."""

    task: "asyncio.Task[str]"
    step: str = "waiting"
    failed_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Why a version cannot start now."""

    sentence: str
    failure: str | None = None


class EnvironmentsPass:
    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        environments: Environments,
        packages: Path,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._environments = environments
        self._packages = packages
        self._clock = clock
        self._wake = wake
        self._builds: dict[tuple[str, int], _Build] = {}
        self._for_runs: set[asyncio.Task[str]] = set()
        self._pythons: dict[str, str] = {}
        self._collecting: asyncio.Task[None] | None = None
        self._collect_at = clock.now()

    def __call__(self) -> None:
        """One pass: forgets builds that nobody waits for, and removes environments that nobody needs."""
        if self._builds:
            endpoints = self._store.endpoints.find({endpoint for endpoint, _version in self._builds})
            for key, build in list(self._builds.items()):
                if key[0] not in endpoints or endpoints[key[0]].version(key[1]) is None:
                    build.task.cancel()
                    del self._builds[key]
        if self._clock.now() >= self._collect_at and not self._is_building():
            self._collect_at = self._clock.now() + COLLECT_SECONDS
            self._collecting = asyncio.get_running_loop().create_task(self._collect())

    def python_of(self, package: str) -> str | None:
        """The interpreter for a package that `hold_back` let through; None is the yard's own."""
        return self._pythons.get(package)

    # -- endpoints ---------------------------------------------------------------------------------------------------

    async def hold_back(self, endpoint: Endpoint, decision: Decision) -> Decision:
        """The decision without starts whose environment is not there, saying so; where it cannot be built, with the
        version failed instead."""
        for number in sorted({one.version for one in decision.actions if isinstance(one, Start)}):
            waiting = await self._prepare(endpoint, number)
            if waiting is not None:
                decision = _held_back(endpoint, decision, number, waiting, self._clock.now())
        return decision

    async def _prepare(self, endpoint: Endpoint, number: int) -> _Waiting | None:
        """None where the version can start."""
        version = endpoint.version(number)
        package = await self._laid_out(version.spec.package) if version is not None else None
        if version is None or package is None or package.environment is None:
            return None
        key = (name_key(endpoint.name), number)
        build = self._builds.get(key)
        if build is not None and build.failed_at is None and build.task.done():
            build = self._finished(key, build)
        if build is None:
            python = await asyncio.to_thread(self._environments.find, package)
            if python is not None:
                self._pythons[version.spec.package] = python
                self._environments.touch(package)
                return None
            build = self._begin(endpoint.name, key, package)
        return self._waiting(endpoint, number, key, build)

    def _begin(self, endpoint: str, key: tuple[str, int], package: Package) -> _Build:
        name = f"{key[0][:LOG_NAME_LENGTH_MAX]}-{key[1]}-environment"
        folder = self._environments.builds / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / EXIT).unlink(missing_ok=True)
        # Whoever shows what an endpoint printed finds the folders of its processes by their orders.
        write_json(str(folder / ORDER), {"endpoint": endpoint})
        build: _Build

        def say(step: str) -> None:
            build.step = step
            self._wake()

        task = asyncio.get_running_loop().create_task(self._build(package, name, say))
        build = self._builds[key] = _Build(task)
        task.add_done_callback(lambda _: self._wake())
        return build

    async def _build(self, package: Package, name: str, say: Callable[[str], None]) -> str:
        folder = self._environments.builds / name
        code = 1
        try:
            python = await self._environments.ensure(package, name, say)
            code = 0
        finally:
            write_exit(str(folder), code, "exit")
        return python

    def _finished(self, key: tuple[str, int], build: _Build) -> _Build | None:
        """What remains of a build that has ended: nothing where it went well."""
        if not build.task.cancelled() and build.task.exception() is not None:
            build.failed_at = self._clock.now()
            return build
        del self._builds[key]
        return None

    def _waiting(self, endpoint: Endpoint, number: int, key: tuple[str, int], build: _Build) -> _Waiting:
        if build.failed_at is None:
            return _Waiting(f"{BUILDING}: {build.step}")
        error = build.task.exception()
        reason = reason_of(error) if isinstance(error, ModelyardError) else f"cannot build its environment: {error!r}"
        version = endpoint.version(number)
        if version is not None and version.state is VersionState.NEW:
            del self._builds[key]
            return _Waiting(reason, reason)
        left = build.failed_at + RETRY_SECONDS - self._clock.now()
        if left <= 0:
            del self._builds[key]
        return _Waiting(f"its environment cannot be built again, next try in {max(0.0, left):.0f} s: {reason}")

    async def _laid_out(self, digest: str) -> Package | None:
        """The package on disk; None where it cannot be had, which its start will say better."""
        folder = self._packages / digest
        try:
            if not folder.exists():
                await asyncio.to_thread(self._artifacts.lay_out, digest, folder, share=True)
            return read_package(str(folder))
        except (OSError, ModelyardError, ValueError) as error:
            _log.error("cannot read package %s: %s", digest, error)
            return None

    # -- runs --------------------------------------------------------------------------------------------------------

    async def python_for_run(self, run: str, base: Path, entry: str | None, unwanted: Callable[[], bool]) -> str | None:
        """The interpreter for a script, or an algorithm, whose code lies in `base`/code; None is the yard's own. Builds
        its environment where it has one, until it is `unwanted`; then None. Raises InvalidValue, StartFailed."""
        code = base / "code"
        paths = [str(one.relative_to(code)) for one in code.rglob("*") if one.is_file()]
        spec = requested_environment(paths, lambda path: (code / path).read_bytes(), entry)
        if spec is None:
            return None
        return await self._ensured(Package(str(base), None, None, [], spec), run, unwanted)

    async def python_for_package(self, job: str, package: Package, unwanted: Callable[[], bool]) -> str | None:
        """The same for a job that runs a package."""
        return None if package.environment is None else await self._ensured(package, job, unwanted)

    async def _ensured(self, package: Package, job: str, unwanted: Callable[[], bool]) -> str | None:
        task = asyncio.get_running_loop().create_task(self._environments.ensure(package, f"{job}-environment", _quiet))
        self._for_runs.add(task)
        task.add_done_callback(self._for_runs.discard)
        while not task.done():
            await asyncio.wait((task,), timeout=LOOK_SECONDS)
            if not task.done() and unwanted():
                task.cancel()
                await asyncio.wait((task,))
                return None
        return task.result()

    # -- care --------------------------------------------------------------------------------------------------------

    def _is_building(self) -> bool:
        return bool(self._for_runs) or any(not build.task.done() for build in self._builds.values())

    async def _collect(self) -> None:
        endpoints = await asyncio.to_thread(self._store.endpoints.select)
        digests = {version.spec.package for endpoint in endpoints for version in endpoint.versions}
        del endpoints
        used: list[Package] = []
        for digest in sorted(digests):
            # What is not laid out now would be laid out again before it starts, and its environment built again.
            package = await self._laid_out(digest) if (self._packages / digest).exists() else None
            if package is not None and package.environment is not None:
                used.append(package)
        removed = await asyncio.to_thread(self._environments.collect, used, self._clock.now())
        if removed:
            _log.info("removed %d environments that nothing uses", len(removed))

    async def close(self) -> None:
        """Ends what is being built; the next controller begins it anew."""
        tasks: list[asyncio.Task[Any]] = [*(build.task for build in self._builds.values()), *self._for_runs]
        if self._collecting is not None:
            tasks.append(self._collecting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _quiet(step: str) -> None:
    """A run's step says enough."""
    _log.debug("%s", step)


def _held_back(endpoint: Endpoint, decision: Decision, number: int, waiting: _Waiting, now: float) -> Decision:
    actions: list[Action] = [one for one in decision.actions if not (isinstance(one, Start) and one.version == number)]
    serves = ""
    if decision.serving_version not in (None, number):
        serves = f"; version {decision.serving_version} serves"
    if waiting.failure is not None:
        actions.append(MarkFailed(number, waiting.failure))
        sentence, wake_at = f"version {number} cannot start{serves}: {waiting.failure}", now
    else:
        sentence, wake_at = f"version {number}: {waiting.sentence}{serves}", decision.wake_at
    on_its_way = number == endpoint.wished.number
    state = EndpointState.UPDATING if on_its_way else decision.state
    return replace(decision, actions=tuple(actions), state=state, sentence=sentence, wake_at=wake_at)
