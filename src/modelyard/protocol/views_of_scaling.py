"""Scaling as the interface answers it; see `protocol.views`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AutoscalingView:
    min_replicas: int
    max_replicas: int | None
    init_replicas: int | None
    target_in_flight: float | None
    window_seconds: float
    upscale_stabilization_seconds: float
    downscale_stabilization_seconds: float
    max_upscale_factor: float
    downscale_kept_share: float
    upscale_tolerance: float
    downscale_tolerance: float
    burst_factor: float
    last_replica_delay_seconds: float


@dataclass(frozen=True, slots=True)
class DecisionView:
    """Every term of `domain.autoscaling.Recommendation`."""

    at: str
    rule: str
    current: int
    requested: int
    sentence: str
    target_in_flight: float
    min_replicas: int
    max_replicas: int | None
    capacity: int
    average_in_flight: float | None
    needed: float | None
    tolerated: int | None
    stepped: int | None
    in_use: int | None
    lasting_in_flight: float | None
    peak_in_flight: float | None
    burst: int | None
    recommended: int | None
    stabilized_floor: int | None
    stabilized_ceiling: int | None
    idle_seconds: float | None


@dataclass(frozen=True, slots=True)
class ScalingView:
    name: str
    replicas: int
    """What is asked for now."""
    autoscaling: AutoscalingView | None
    """null where the number of replicas is fixed."""
    decisions: list[DecisionView]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class LoadView:
    at: float
    """End, seconds since the epoch."""
    seconds: float
    in_flight: float
    queued: float
    arrivals: int
    replicas: int


@dataclass(frozen=True, slots=True)
class LoadsView:
    name: str
    loads: list[LoadView]
    """Oldest first; what is missing was a time without load."""
