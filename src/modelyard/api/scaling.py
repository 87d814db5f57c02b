"""Scaling: how an endpoint may scale, what was decided and why, and the load that it was decided from."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.autoscaling import Autoscaling, Recommendation, check_autoscaling
from modelyard.domain.traces import LoadRecord
from modelyard.protocol.views_of_scaling import AutoscalingView, DecisionView, LoadsView, LoadView, ScalingView

REPLICAS_MAX = 256
SECONDS_MAX = 3600.0
IDLE_SECONDS_MAX = 86400.0
IN_FLIGHT_MAX = 1_000_000.0

DECISIONS_MAX = 500
LOADS_MAX = 20_000
"""Most of one answer."""

Period = Annotated[float, Field(ge=0, le=SECONDS_MAX)]
Share = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=1)]

_DEFAULT = Autoscaling()


class AutoscalingWish(BaseModel):
    """Fields of `domain.autoscaling.Autoscaling`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    min_replicas: Annotated[int, Field(ge=0, le=REPLICAS_MAX)] = _DEFAULT.min_replicas
    max_replicas: Annotated[int | None, Field(ge=1, le=REPLICAS_MAX)] = _DEFAULT.max_replicas
    init_replicas: Annotated[int | None, Field(ge=0, le=REPLICAS_MAX)] = _DEFAULT.init_replicas
    target_in_flight: Annotated[float | None, Field(gt=0, le=IN_FLIGHT_MAX)] = _DEFAULT.target_in_flight
    window_seconds: Annotated[float, Field(gt=0, le=SECONDS_MAX)] = _DEFAULT.window_seconds
    upscale_stabilization_seconds: Period = _DEFAULT.upscale_stabilization_seconds
    downscale_stabilization_seconds: Period = _DEFAULT.downscale_stabilization_seconds
    max_upscale_factor: Factor = _DEFAULT.max_upscale_factor
    downscale_kept_share: Share = _DEFAULT.downscale_kept_share
    upscale_tolerance: Annotated[float, Field(ge=0)] = _DEFAULT.upscale_tolerance
    downscale_tolerance: Share = _DEFAULT.downscale_tolerance
    burst_factor: Factor = _DEFAULT.burst_factor
    last_replica_delay_seconds: Annotated[float, Field(ge=0, le=IDLE_SECONDS_MAX)] = _DEFAULT.last_replica_delay_seconds

    def settings(self) -> Autoscaling:
        """Raises InvalidValue where the fields contradict each other."""
        settings = Autoscaling(**self.model_dump())
        check_autoscaling(settings)
        return settings


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "scaling")

    @router.get("/endpoints/{name}/scaling")
    def explain_scaling(name: str, limit: Annotated[int, Query(ge=1, le=DECISIONS_MAX)] = 20) -> ScalingView:
        """How many replicas an endpoint should have, and the decisions that led there, with all their terms."""
        endpoint = yard.store.endpoints.get(name)
        spec = endpoint.governing.spec
        seen = yard.store.endpoints.status(name)
        asked = spec.replicas if spec.autoscaling is None else spec.autoscaling.begins_with
        return ScalingView(
            name=endpoint.name,
            replicas=asked if seen is None or spec.autoscaling is None else seen.requested,
            autoscaling=AutoscalingView(**asdict(spec.autoscaling)) if spec.autoscaling else None,
            decisions=[_decision_view(one) for one in yard.store.scaling.decisions(endpoint.name, limit)],
        )

    @router.get("/endpoints/{name}/load")
    def show_load(
        name: str,
        since: Annotated[float, Query(ge=0)] = 0.0,
        limit: Annotated[int, Query(ge=1, le=LOADS_MAX)] = LOADS_MAX,
    ) -> LoadsView:
        """The load that was recorded of an endpoint after `since` (seconds since the epoch)."""
        endpoint = yard.store.endpoints.get(name)
        records = yard.store.scaling.loads(endpoint.name, since, limit)
        return LoadsView(endpoint.name, [_load_view(one) for one in records])

    return router


def _decision_view(one: Recommendation) -> DecisionView:
    fields: dict[str, Any] = asdict(one)
    fields["at"], fields["rule"] = iso(one.at), one.rule.value
    return DecisionView(**fields)


def _load_view(one: LoadRecord) -> LoadView:
    return LoadView(**asdict(one))
