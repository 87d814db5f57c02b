"""The one loop: wait for a reason, run each pass, publish the table, survive whatever a pass raises."""

import asyncio
import contextlib
import logging
from collections.abc import Generator

from modelyard.clock import Clock
from modelyard.controller.access import AccessPass
from modelyard.controller.alarms import AlarmsPass
from modelyard.controller.batches import BatchStarter
from modelyard.controller.captures import Captures
from modelyard.controller.care import Care
from modelyard.controller.endpoints import EndpointsPass
from modelyard.controller.environments import EnvironmentsPass
from modelyard.controller.functions import FunctionStarter
from modelyard.controller.gateways import gateway_hosts
from modelyard.controller.hosts import Hosts
from modelyard.controller.jobs import Turns
from modelyard.controller.messages import Messenger
from modelyard.controller.metrics import Metrics
from modelyard.controller.models import ModelsPass
from modelyard.controller.runs import RunsPass
from modelyard.controller.schedules import SchedulesPass, Starter
from modelyard.controller.sites import SitesPass
from modelyard.controller.splitters import splitter_entries
from modelyard.controller.surroundings import Surroundings
from modelyard.controller.table import Publisher
from modelyard.controller.tracking import TrackingPass, job_tracking
from modelyard.controller.trainings import TrainingStarter
from modelyard.controller.transforms import TransformsPass
from modelyard.controller.tunings import TuningsPass
from modelyard.domain.deployments import ENDPOINT
from modelyard.domain.eviction import MemoryLimits
from modelyard.engines.ports import Engine
from modelyard.packaging.environments import FOLDER, Environments
from modelyard.protocol.wishes import wake_dispatcher
from modelyard.settings import CareSettings, Home, MailSettings, TrackingSettings
from modelyard.store.mlflow import Tracker
from modelyard.store.ports import Artifacts, Store

POLL_SECONDS = 0.5
"""How long nothing may be looked at: of load that comes to what has replicas, the loop is not told."""

BEAT_SECONDS = 0.05
"""What falls due within this is looked at together: with a thousand endpoints under load there is always one."""

STOP_SECONDS = 20.0
"""How long processes may take to end when the yard goes down, before they are ended by force."""

_log = logging.getLogger("modelyard.controller")


class Controller:
    def __init__(
        self,
        home: Home,
        store: Store,
        artifacts: Artifacts,
        engine: Engine,
        clock: Clock,
        care: CareSettings | None = None,
        mail: MailSettings | None = None,
        tracking: TrackingSettings | None = None,
    ) -> None:
        care = care or CareSettings()
        self.publisher = Publisher(home.table, home.table_journal)
        self.access = AccessPass(store, home.credentials, clock)
        self._store = store
        self._engine = engine
        self._clock = clock
        self._splitters = {key for key, one in self.publisher.table.entries.items() if one.members}
        self._hosts = Hosts(self.publisher.table.entries)
        self._stopping = False
        environments = Environments(home.root / FOLDER)
        self._environments = EnvironmentsPass(store, artifacts, environments, home.packages, clock, self.wake)
        self.metrics = Metrics(home, store, engine, clock)
        self._endpoints = EndpointsPass(
            store,
            artifacts,
            engine,
            self._environments,
            self.metrics,
            home.packages,
            clock,
            self.wake,
            Surroundings(home),
            MemoryLimits(care.memory_free_bytes_min, care.memory_free_share_min, care.replicas_bytes_max),
            self.publisher.table.entries,
        )
        self.metrics.ready = lambda: {
            key: (entry.name, len(entry.replicas))
            for key, entry in self.publisher.table.entries.items()
            if not entry.members
        }
        self.alarms = AlarmsPass(store, clock, self.wake, Messenger(store, clock, mail))
        self.metrics.alarms = self.alarms.states
        self._captures = Captures(home, store, clock)
        self.metrics.table = lambda: self.publisher.table
        self.autoscaler = self._endpoints.autoscaler
        self.idleness = self._endpoints.idleness
        self.shadows = self._endpoints.shadows
        tracker = Tracker(home, tracking.url if tracking is not None else None)
        self._tracking = TrackingPass(store, home.runs, tracker, clock, self.wake)
        turns = Turns(engine, clock)
        self._runs = RunsPass(
            store,
            artifacts,
            engine,
            self._environments,
            home.runs,
            clock,
            self.wake,
            turns,
            tracking=lambda run: job_tracking(home, tracker, run),
        )
        self._tunings = TuningsPass(store, home.runs, clock, self.wake, self._runs.register)
        self._transforms = TransformsPass(store, artifacts, engine, self._environments, home, clock, self.wake, turns)
        starters: dict[str, Starter] = {
            "training": TrainingStarter(store, artifacts, clock),
            "batch": BatchStarter(store, artifacts, clock),
            ENDPOINT: FunctionStarter(store, clock, lambda: wake_dispatcher(home)),
        }
        self._schedules = SchedulesPass(store, starters, clock, self.wake)
        self._sites = SitesPass(store, artifacts, home.sites, clock, self.wake)
        self._models = ModelsPass(store, engine, clock)
        self._care = Care(home, store, artifacts, care, clock)

    def wake(self) -> None:
        self._engine.changed.set()

    def stop(self) -> None:
        """Ends the loop, and then everything that the engine runs."""
        self._stopping = True
        self.wake()

    def stuck(self, replica: str, seconds: float) -> None:
        self._endpoints.replicas.stuck(replica, seconds)

    async def run(self) -> None:
        """Until `stop`. Processes end with it: a controller that is to leave them alone is killed instead."""
        while not self._stopping:
            self._engine.changed.clear()
            wake_at = await self.look()
            left = POLL_SECONDS if wake_at is None else wake_at - self._clock.now()
            pause = min(POLL_SECONDS, max(BEAT_SECONDS, left)) if left > 0 else 0.0
            try:
                async with asyncio.timeout(pause):
                    await self._engine.changed.wait()
            except TimeoutError:
                continue
        await self._end()

    async def look(self) -> float | None:
        """One pass over everything: when to look again at the latest, or None. A noun whose pass fails is looked at
        again by the next one; the others go on."""
        wake_at: float | None = None
        with _survived("access"):
            self.access()
        with _survived("schedules"):
            self._schedules()
        with _survived("runs"):
            self._runs()
        with _survived("tunings"):
            self._tunings()
        with _survived("transforms"):
            self._transforms()
        with _survived("metrics"):
            self._tracking()
        with _survived("endpoints"):
            changes, wake_at = await self._endpoints()
            splitters = splitter_entries(self._store)
            put, gone = changes.put | splitters, changes.drop | self._splitters
            self._hosts.follow(put, gone - put.keys())
            hosts = self._hosts.entries(gateway_hosts(self._store) | self._sites())
            self.publisher.publish(put, gone - put.keys(), hosts)
            self._splitters = set(splitters)
            self._endpoints.tell()
        with _survived("models"):
            self._models()
        with _survived("environments"):
            self._environments()
        with _survived("metrics"):
            recorded = self.metrics()
            self.alarms(recorded=recorded)
        with _survived("memory"):
            self._endpoints.eviction()
        with _survived("captures"):
            self._captures()
        with _survived("the disk"):
            self._care()
        return wake_at

    async def _end(self) -> None:
        """Nothing new is begun, everything is ended, and what became of it is written down."""
        self._schedules.leave()
        self._runs.leave()
        await self._tunings.close()
        self._transforms.leave()
        self.idleness.write_down(at_once=True)
        self.autoscaler.write_down(at_once=True)
        await self._environments.close()
        await self._sites.close()
        await self._models.close()
        await self._care.close()
        await self._endpoints.eviction.close()
        await self.metrics.close()
        await self.alarms.close()
        await self._captures.close()
        await self._endpoints.replicas.close()
        await self._schedules.settle()
        await self._runs.settle()
        await self._transforms.settle()
        await self._engine.stop_everything(STOP_SECONDS)
        with _survived("runs"):
            self._runs()
        with _survived("transforms"):
            self._transforms()
        await self._runs.settle()
        await self._tracking.settle()
        await self._engine.close()


@contextlib.contextmanager
def _survived(noun: str) -> Generator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 (whatever it was, the next pass begins from what is then there)
        _log.exception("the pass over %s failed", noun)
