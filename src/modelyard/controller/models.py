"""The pass over models: what is registered is likely to be deployed, so its libraries are imported before."""

import asyncio

from modelyard.clock import Clock
from modelyard.engines.ports import Engine
from modelyard.packaging.frameworks import LIBRARIES, Framework
from modelyard.store.ports import Store

LOOK_SECONDS = 1.0
"""How often it is looked for new frameworks: every pass would read every model."""


class ModelsPass:
    def __init__(self, store: Store, engine: Engine, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock
        self._look_at = clock.monotonic()
        self._warm: set[str] = set()
        self._warming: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """Warms a template for every framework that a registered model has. At most one at a time."""
        if self._clock.monotonic() < self._look_at or (self._warming is not None and not self._warming.done()):
            return
        self._look_at = self._clock.monotonic() + LOOK_SECONDS
        cold = sorted(self._store.models.frameworks() - self._warm)
        if cold:
            self._warm.update(cold)
            libraries = tuple(name for framework in cold for name in LIBRARIES[Framework(framework)])
            self._warming = asyncio.get_running_loop().create_task(self._engine.warm(libraries))

    async def close(self) -> None:
        """Gives up what is being warmed."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
