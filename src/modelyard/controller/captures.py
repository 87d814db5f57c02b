"""Captures: has segments recorded while there are any, and forgets what is kept no longer."""

import asyncio
import contextlib
import logging
import sys

from modelyard.clock import Clock
from modelyard.controller.periodic import Periodic
from modelyard.settings import Home
from modelyard.store.captures import drop_old, keep, waiting
from modelyard.store.ports import Store

RECORD_SECONDS = 5.0
"""How often it is looked for segments; each look may start a process."""

RECORD_SECONDS_MAX = 600.0
"""How long one process may take; then it is ended, and the next begins with what is left."""

CARE_SECONDS = 600.0

_log = logging.getLogger("modelyard.controller")


class Captures:
    def __init__(self, home: Home, store: Store, clock: Clock) -> None:
        self._home = home
        self._store = store
        self._clock = clock
        self._look_at = clock.monotonic()
        self._recording: asyncio.Task[None] | None = None
        self._caring = Periodic(clock.monotonic() + RECORD_SECONDS, CARE_SECONDS, self._care)

    def __call__(self) -> None:
        now = self._clock.monotonic()
        self._caring(now)
        if now < self._look_at or (self._recording is not None and not self._recording.done()):
            return
        self._look_at = now + RECORD_SECONDS
        if waiting(self._home.captures):
            self._recording = asyncio.get_running_loop().create_task(self._record())

    async def close(self) -> None:
        await self._caring.close()
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)

    async def _record(self) -> None:
        command = (sys.executable, "-m", "modelyard.processes.recorder", "--home", str(self._home.root))
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(RECORD_SECONDS_MAX):
                code = await process.wait()
            if code:
                _log.error("cannot record what was captured: its process ended with %d", code)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _care(self) -> None:
        try:
            for endpoint in self._store.endpoints.select():
                capture = endpoint.wished.spec.capture
                if capture is not None:
                    keep(self._home.captures, endpoint.name, capture.keep_seconds)
            for one in drop_old(self._home.captures, self._clock.now()):
                _log.info("captures of %s of %s are no longer kept", one.endpoint, one.day)
        except Exception:  # noqa: BLE001 (it is tried again)
            _log.exception("cannot look after captures")
