"""What a scheduled batch starts: a transform, with the version of its model that counts then."""

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.domain.batches import Batch, batch_from, transform_of
from modelyard.domain.resources import Resource
from modelyard.domain.schedules import Schedule
from modelyard.errors import NotFound
from modelyard.packaging.scorers import ScorerSource, build_scorer
from modelyard.store.ports import Artifacts, Store

TRANSFORMS_LOOKED_AT_MAX = 50
"""Newest transforms of a batch among which one that was started for a time is looked for."""


class BatchStarter:
    """Implements `schedules.Starter`."""

    def __init__(self, store: Store, artifacts: Artifacts, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock

    def resources(self) -> list[Resource]:
        return self._store.resources.select("batch")

    def start(self, resource: Resource, planned_at: float) -> str:
        name = resource.name.name
        for one in self._store.transforms.select(batch=name, limit=TRANSFORMS_LOOKED_AT_MAX):
            if one.spec.scheduled_at == planned_at:
                return one.id
        batch = batch_from(resource.wished.spec)
        package, model = self._package(batch)
        spec = transform_of(batch, name, resource.project, package, model, planned_at, planned_at)
        transform = self._store.transforms.create(spec, self._clock.now())
        sentence = f"accepted: {spec.input} -> {spec.output}, by schedule"
        tell(self._store.events, "transform", transform.id, sentence, self._clock.now())
        return transform.id

    def _package(self, batch: Batch) -> tuple[str, str | None]:
        if batch.endpoint is not None:
            endpoint = self._store.endpoints.get(batch.endpoint)
            return endpoint.wished.spec.package, f"{endpoint.name}:{endpoint.wished.number}"
        source = ScorerSource(batch.model, batch.model_tree, None, batch.predictor, batch.code)
        return build_scorer(self._artifacts, source, self._store.models.resolve)

    def goes_on(self, schedule: Schedule) -> bool:
        try:
            return not self._store.transforms.get(str(schedule.started)).ended
        except NotFound:
            return False
