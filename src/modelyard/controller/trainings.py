"""What a scheduled training starts: a run, with its inputs as they are then."""

from dataclasses import replace

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.controller.secrets import reveal
from modelyard.domain.resources import Resource
from modelyard.domain.schedules import Schedule
from modelyard.domain.trainings import training_from
from modelyard.errors import NotFound
from modelyard.packaging.inputs import read_inputs
from modelyard.store.ports import Artifacts, Store

RUNS_LOOKED_AT_MAX = 50
"""Newest runs of a training among which one that was started for a time is looked for."""


class TrainingStarter:
    """Implements `schedules.Starter`."""

    def __init__(self, store: Store, artifacts: Artifacts, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock

    def resources(self) -> list[Resource]:
        return self._store.resources.select("training")

    def start(self, resource: Resource, planned_at: float) -> str:
        training = training_from(resource.wished.spec)
        for run in self._store.runs.select(training=training.run.training, limit=RUNS_LOOKED_AT_MAX):
            if run.spec.scheduled_at == planned_at:
                return run.id
        # What its script would have: credentials for its inputs may be among it.
        environment = {**training.run.environment, **reveal(self._store, training.run.secrets)}
        inputs = {**training.run.inputs, **read_inputs(self._artifacts, training.reread, environment)}
        run = self._store.runs.create(replace(training.run, inputs=inputs, scheduled_at=planned_at), self._clock.now())
        what = run.spec.algorithm or run.spec.entry
        tell(self._store.events, "run", run.id, f"accepted: {what}, by schedule", self._clock.now())
        return run.id

    def goes_on(self, schedule: Schedule) -> bool:
        try:
            return not self._store.runs.get(str(schedule.started)).ended
        except NotFound:
            return False
