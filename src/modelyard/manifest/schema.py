"""The fields of a yard file, as pydantic models: names and meanings are Cortex's where Cortex has the thing.

Fields of Cortex that have no effect yet are read and type-checked, so that its files deploy as they are; a note says
which. Optional fields that a file leaves out stay out: defaults belong to the domain, not to the file.
"""

import re
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modelyard.manifest.values import (
    Count,
    CountOrNone,
    CpuMillis,
    Factor,
    MemoryBytes,
    Model,
    ModelName,
    Name,
    PositiveSeconds,
    ScalarText,
    Seconds,
    Share,
    SizeBytes,
    refuse,
)
from modelyard.manifest.variables import Environment

REPLICAS_MAX = 256
BODY_BYTES_MAX = 100 * 2**20
BATCH_SIZE_MAX = 4096
QUEUE_LENGTH_MAX = 1_000_000
THREADS_MAX = 256
LIMIT_SECONDS_MAX = 3600.0
IDLE_SECONDS_MAX = 86400.0
RUNTIME_SECONDS_MAX = 28 * 86400.0
"""SageMaker's limit for MaxRuntimeInSeconds."""


BatchSize = Annotated[Count, Field(le=BATCH_SIZE_MAX)]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


def _only_python(value: Any) -> Any:
    if value == "python":
        return value
    if value in ("tensorflow", "onnx"):
        raise refuse(f"python; {value} predictors are not served, write a Python predictor that loads the model")
    raise refuse("python")


def _python_version(value: Any) -> Any:
    # Without quotes YAML reads 3.10 as the number 3.1.
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"3\.\d{1,2}(\.\d{1,3})?", value)):
        raise refuse('a version of Python in quotes, such as "3.12"')
    return value


def _none_of(what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if type(value) is not int or value != 0:
            raise refuse(f"0; {what} are not handed out yet")
        return value

    return BeforeValidator(check)


def _only_one(value: Any) -> Any:
    if type(value) is not int or value != 1:
        raise refuse("1; write more replicas instead of more processes in one")
    return value


class PredictorFields(_Schema):
    type: Annotated[Literal["python"], BeforeValidator(_only_python)] = "python"
    path: Annotated[str, Field(min_length=1)]
    class_name: Annotated[str | None, Field(alias="class")] = None
    config: dict[str, Any] | None = None
    python_path: str | None = None
    app: Annotated[str, Field(min_length=1)] | None = None
    python: Annotated[str | None, BeforeValidator(_python_version)] = None
    env: Environment | None = None


class ComputeFields(_Schema):
    cpu: CpuMillis | None = None
    mem: MemoryBytes = None
    gpu: Annotated[int, _none_of("GPUs")] = 0
    inf: Annotated[int, _none_of("Inferentia chips")] = 0
    shm: MemoryBytes = None


class AutoscalingFields(_Schema):
    min_replicas: Annotated[CountOrNone, Field(le=REPLICAS_MAX)] | None = None
    max_replicas: Annotated[Count, Field(le=REPLICAS_MAX)] | None = None
    init_replicas: Annotated[CountOrNone, Field(le=REPLICAS_MAX)] | None = None
    workers_per_replica: Annotated[int, BeforeValidator(_only_one)] = 1
    processes_per_replica: Annotated[int, BeforeValidator(_only_one)] = 1
    threads_per_worker: Annotated[Count, Field(le=THREADS_MAX)] | None = None
    threads_per_process: Annotated[Count, Field(le=THREADS_MAX)] | None = None
    target_replica_concurrency: Annotated[float, Field(gt=0)] | None = None
    max_replica_concurrency: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    target_in_flight: Annotated[float, Field(gt=0)] | None = None
    window: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    downscale_stabilization_period: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    upscale_stabilization_period: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    max_downscale_factor: Annotated[float, Field(ge=0, lt=1)] | None = None
    downscale_kept_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    max_upscale_factor: Annotated[float, Field(gt=1)] | None = None
    downscale_tolerance: Annotated[float, Field(ge=0, lt=1)] | None = None
    upscale_tolerance: Factor | None = None
    burst_factor: Annotated[float, Field(gt=1)] | None = None
    last_replica_delay: Annotated[Seconds, Field(le=IDLE_SECONDS_MAX)] | None = None


class UpdateFields(_Schema):
    max_surge: Share | None = None
    max_unavailable: Share | None = None


class NetworkingFields(_Schema):
    endpoint: str | None = None
    api_gateway: Literal["public", "none"] | None = None
    local_port: Annotated[int, Field(ge=1, le=65535)] | None = None


class TrackerFields(_Schema):
    key: str | None = None
    model_type: Literal["classification", "regression"]


class BatchingFields(_Schema):
    max_batch_size: BatchSize
    batch_interval: PositiveSeconds | None = None


class EndpointFields(_Schema):
    name: Name
    kind: Literal["endpoint", "RealtimeAPI"] = "endpoint"
    model: Model | None = None
    predictor: PredictorFields | None = None
    compute: ComputeFields = ComputeFields()
    autoscaling: AutoscalingFields = AutoscalingFields()
    update_strategy: UpdateFields = UpdateFields()
    networking: NetworkingFields | None = None
    endpoint: str | None = None
    tracker: TrackerFields | None = None
    monitoring: TrackerFields | None = None
    server_side_batching: BatchingFields | None = None
    node_groups: list[str] | None = None
    max_batch_size: BatchSize | None = None
    max_in_flight: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    max_queue_length: Annotated[CountOrNone, Field(le=QUEUE_LENGTH_MAX)] | None = None
    max_body: Annotated[SizeBytes, Field(ge=1, le=BODY_BYTES_MAX)] | None = None
    timeout: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    start_limit: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    drain_limit: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    idempotent: bool | None = None
    require_approval: bool | None = None
    env: Environment | None = None

    @model_validator(mode="after")
    def _can_predict(self) -> Self:
        if self.model is None and self.predictor is None:
            raise refuse("a `model`, a `predictor`, or both; without them there is nothing to serve")
        return self


def _channel(value: Any) -> Any:
    if isinstance(value, str):
        return {"path": value}
    if not isinstance(value, dict):
        raise refuse("a path, or a map of path and content_type")
    return cast("dict[str, Any]", value)


ChannelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""SageMaker's channel names, which become folders and parts of environment variables."""


class ChannelFields(_Schema):
    path: Annotated[str, Field(min_length=1)]
    content_type: str | None = None


class TrainingFields(_Schema):
    name: Name
    kind: Literal["training"]
    algorithm: Literal["xgboost"] | None = None
    entry: Annotated[str, Field(min_length=1)] | None = None
    python_path: str | None = None
    inputs: dict[ChannelName, Annotated[ChannelFields, BeforeValidator(_channel)]] = Field(default_factory=dict)
    hyperparameters: dict[str, ScalarText] = Field(default_factory=dict)
    model: ModelName | None = None
    max_runtime: Annotated[PositiveSeconds, Field(le=RUNTIME_SECONDS_MAX)] | None = None
    stop_grace: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    env: Environment | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.algorithm is None) == (self.entry is None):
            raise refuse("exactly one of `algorithm` (xgboost) and `entry` (a script)")
        return self
