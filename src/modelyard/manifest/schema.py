"""The fields of a yard file, as pydantic models: names and meanings are Cortex's where Cortex has the thing.

Fields of Cortex that have no effect yet are read and type-checked, so that its files deploy as they are; a note says
which. Optional fields that a file leaves out stay out: defaults belong to the domain, not to the file.
"""

import json
import re
from typing import Annotated, Any, Literal, Self, cast

from modelyard_worker.log_metrics import DEFINITIONS_MAX
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modelyard.domain.access import policy_document, policy_from
from modelyard.domain.alarms import ADDRESSES_MAX, WEBHOOKS_MAX
from modelyard.domain.apps import BODY_BYTES_MAX as APP_BODY_BYTES_MAX
from modelyard.domain.functions import CONCURRENCY, INSTANCES_MAX, SCHEDULED_EVENT_BYTES_MAX, TIMEOUT_SECONDS_MAX
from modelyard.domain.invocations import TIME_TO_LIVE_SECONDS_MAX, TIME_TO_LIVE_SECONDS_MIN
from modelyard.domain.queueing import PRIORITY_MAX, PRIORITY_MIN
from modelyard.domain.runs import RETRIES_MAX
from modelyard.domain.sites import CACHE_SECONDS_MAX
from modelyard.domain.splitters import MEMBERS_MAX
from modelyard.domain.strategies import STEP_PERCENT_MIN, STEPS_MAX
from modelyard.domain.tunings import PARALLEL_TRIALS_MAX, RANGES_MAX, TRIALS_MAX, VALUES_MAX
from modelyard.errors import InvalidValue
from modelyard.manifest.values import (
    Count,
    CountOrNone,
    CpuMillis,
    Expression,
    Factor,
    MemoryBytes,
    Model,
    ModelName,
    Name,
    OwnPort,
    Percent,
    PositiveSeconds,
    ScalarText,
    Seconds,
    Share,
    SizeBytes,
    refuse,
)
from modelyard.manifest.variables import Environment

REPLICAS_MAX = 256
PROCESSES_MAX = 64
GPUS_MAX = 64
BODY_BYTES_MAX = 100 * 2**20
BATCH_SIZE_MAX = 4096
QUEUE_LENGTH_MAX = 1_000_000
THREADS_MAX = 256
LIMIT_SECONDS_MAX = 3600.0
BAKE_SECONDS_MAX = 7 * 86400.0
MODELS_LOADED_MAX = 10_000
MODEL_PATHS_MAX = 1000
ALARMS_MAX = 10
"""SageMaker's limit for the alarms of one update."""
ATTEMPTS_MAX = 20
CONCURRENCY_MAX = 1000
"""SageMaker's limit for MaxConcurrentInvocationsPerInstance."""
IDLE_SECONDS_MAX = 86400.0
TTL_SECONDS_MAX = 365 * 86400.0
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


class ModelPathFields(_Schema):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._@+=-]*$")]
    """What requests call it."""
    path: Annotated[str, Field(min_length=1)]
    """Its file or folder, relative to the yard file, or its `s3://` URL."""
    signature_key: str | None = None
    """Cortex's, for TensorFlow; a saved model's own default is asked."""


class ModelsFields(_Schema):
    dir: Annotated[str, Field(min_length=1)] | None = None
    """A folder of models, relative to the yard file, or `s3://BUCKET/PREFIX`: files, folders, folders of numbered
    versions. What changes in it is served as it changes."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """One model alone, for a predictor that asks for it without a name."""
    paths: Annotated[list[ModelPathFields], Field(min_length=1, max_length=MODEL_PATHS_MAX)] | None = None
    """Models that lie in several places, by name."""
    cache_size: Annotated[Count, Field(le=MODELS_LOADED_MAX)] | None = None
    """Most models that one replica has loaded; the least recently used go."""
    memory: MemoryBytes = None
    """What the models that one replica has loaded may take together."""
    disk_cache_size: Annotated[Count, Field(le=MODELS_LOADED_MAX)] | None = None
    """Cortex's; what copies of models in buckets may take on the disk is a setting of the yard,
    `MODELYARD_MODEL_COPIES_BYTES_MAX`."""


class PredictorFields(_Schema):
    type: Annotated[Literal["python"], BeforeValidator(_only_python)] = "python"
    """Cortex's; only Python code is run."""
    path: Annotated[str, Field(min_length=1)]
    """The Python file that has the class, relative to the yard file."""
    class_name: Annotated[str | None, Field(alias="class")] = None
    """The class in it; by default `Predictor` or Cortex's `PythonPredictor`, whichever is there."""
    config: dict[str, Any] | None = None
    """Handed to the class as `config`."""
    python_path: str | None = None
    """A folder that imports begin at, beside the predictor's own and the project's."""
    app: Annotated[str, Field(min_length=1)] | None = None
    """The ASGI or WSGI application in it that is served as it is, instead of a class."""
    python: Annotated[str | None, BeforeValidator(_python_version)] = None
    """Version of Python for the package's own environment; by default the yard's."""
    env: Environment | None = None
    """Environment variables; those of the endpoint win."""
    models: ModelsFields | None = None
    """Cortex's place for `models`."""
    multi_model_reloading: ModelsFields | None = None
    """Cortex's name of it for Python predictors."""


class ComputeFields(_Schema):
    cpu: CpuMillis | None = None
    """What one replica reserves of the cores: no more are started than fit, and it may use more while some are idle.
    Numeric libraries get a thread per whole core. Nothing stated is nothing reserved: small endpoints share the
    cores."""
    mem: MemoryBytes = None
    """What one replica reserves of the machine's memory, so that more are not started than fit, and the most that it
    may take for itself; libraries and a model that it shares with others do not count."""
    gpu: Annotated[CountOrNone, Field(le=GPUS_MAX)] | None = None
    """GPUs that one replica has for itself, of NVIDIA's; one that states none sees none."""
    inf: Annotated[int, _none_of("Inferentia chips")] = 0
    """Cortex's; none are handed out yet."""
    shm: MemoryBytes = None
    """Cortex's; replicas are no containers and share the machine's."""


class AutoscalingFields(_Schema):
    min_replicas: Annotated[CountOrNone, Field(le=REPLICAS_MAX)] | None = None
    """Fewest replicas; 0 lets the endpoint go to zero, and the next request is held until one is back."""
    max_replicas: Annotated[Count, Field(le=REPLICAS_MAX)] | None = None
    """Most replicas; Cortex's 100 where the section says anything else, as many as there are cores without it."""
    init_replicas: Annotated[CountOrNone, Field(le=REPLICAS_MAX)] | None = None
    """What a new endpoint begins with; by default the least, but at least one, to prove that it can start."""
    workers_per_replica: Annotated[Count, Field(le=PROCESSES_MAX)] | None = None
    """Cortex's older name of `processes_per_replica`."""
    processes_per_replica: Annotated[Count, Field(le=PROCESSES_MAX)] | None = None
    """Processes that predict in what Cortex calls a replica. Here each is a replica of its own, forked from the same
    template: numbers of replicas are multiplied by it, and `compute` and what one is meant to hold are shared out."""
    threads_per_worker: Annotated[Count, Field(le=THREADS_MAX)] | None = None
    """Cortex's older name of `threads_per_process`."""
    threads_per_process: Annotated[Count, Field(le=THREADS_MAX)] | None = None
    """Calls that run at the same time in one replica; one runs without changing threads, which is quickest."""
    target_replica_concurrency: Annotated[float, Field(gt=0)] | None = None
    """Cortex's name of `target_in_flight`."""
    max_replica_concurrency: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    """Cortex's bound for running and waiting requests per replica together; the rest gets 503."""
    target_in_flight: Annotated[float, Field(gt=0)] | None = None
    """Requests, inside and waiting, that one replica is meant to hold; derived from threads and batches where left
    out."""
    window: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """What the average load is taken over."""
    downscale_stabilization_period: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long fewer replicas must have been enough before some go, so that a pause ends nothing."""
    upscale_stabilization_period: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long more replicas must have been needed before some come; bursts do not wait for it."""
    max_downscale_factor: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Cortex's name of `downscale_kept_share`."""
    downscale_kept_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Least share of the replicas that one step down keeps; one less is always allowed."""
    max_upscale_factor: Annotated[float, Field(gt=1)] | None = None
    """Most that one step up multiplies the replicas by; one more is always allowed."""
    downscale_tolerance: Annotated[float, Field(ge=0, lt=1)] | None = None
    """A need that is less by a smaller share changes nothing."""
    upscale_tolerance: Factor | None = None
    """A need that is more by a smaller share changes nothing."""
    burst_factor: Annotated[float, Field(gt=1)] | None = None
    """Load that lasts beyond so many times what the replicas are meant to hold is answered at once."""
    last_replica_delay: Annotated[Seconds, Field(le=IDLE_SECONDS_MAX)] | None = None
    """How long there must be no request before the last replica goes."""


class AutoRollbackFields(_Schema):
    error_rate: Percent | None = None
    """So much more of the new version's answers may be errors than of the old one's; 100% looks at none."""
    latency_factor: Annotated[float, Field(gt=1)] | None = None
    """So many times the old version's latency (the 90th percentile) it may take; left out, latency is not looked at."""
    min_requests: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    """Answers of the new version before anything is made of them."""
    alarms: Annotated[list[Name], Field(max_length=ALARMS_MAX)] | None = None
    """Names of alarms; where one of them fires, the new version is called back."""


class UpdateFields(_Schema):
    type: Literal["rolling", "canary", "linear", "blue_green", "shadow", "swap"] | None = None
    """How a new version takes over: replica by replica (`rolling`), with a share of the requests that grows (`canary`,
    `linear`), at once from a whole new fleet (`blue_green`), after copies of requests (`shadow`), or after an old
    replica has gone (`swap`)."""
    steps: Annotated[list[Percent], Field(min_length=1, max_length=STEPS_MAX)] | None = None
    """Shares of the requests that a canary gets, one after the other; all of them follow by themselves."""
    step_size: Annotated[Percent, Field(ge=STEP_PERCENT_MIN)] | None = None
    """What each step of `linear` adds."""
    bake_time: Annotated[Seconds, Field(le=BAKE_SECONDS_MAX)] | None = None
    """How long each step stands before the next; of a shadow, until it is promoted unless a time is given."""
    interval: Annotated[Seconds, Field(le=BAKE_SECONDS_MAX)] | None = None
    """The same for `linear`."""
    termination_wait: Annotated[Seconds, Field(le=BAKE_SECONDS_MAX)] | None = None
    """How much longer the old version's replicas stay after the last step, to go back to at once."""
    sample: Percent | None = None
    """Share of the requests that a shadow gets copies of."""
    compare: bool | None = None
    """Whether what a shadow answers is compared with what was answered."""
    tolerance: Annotated[float, Field(ge=0, le=1)] | None = None
    """Relative difference of two numbers that still counts as equal."""
    auto_rollback: AutoRollbackFields | None = None
    """What calls a new version back by itself."""
    max_surge: Share | None = None
    """How many replicas more than wished may live while versions change; rounded up."""
    max_unavailable: Share | None = None
    """How many replicas fewer than wished may be ready while versions change; rounded down. 0 means no gap."""


class NetworkingFields(_Schema):
    endpoint: str | None = None
    """Cortex's; the path is always /endpoints/NAME/invocations."""
    api_gateway: Literal["public", "none"] | None = None
    """Cortex's; one port fronts everything."""
    local_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Cortex's; one port fronts everything."""


class TrackerFields(_Schema):
    key: str | None = None
    """Where in the answer the prediction stands; by default the answer is the prediction."""
    model_type: Literal["classification", "regression"]
    """Whether predictions are counted by class or summed up as values."""


class BatchingFields(_Schema):
    max_batch_size: BatchSize
    """Cortex's place for `max_batch_size`."""
    batch_interval: PositiveSeconds | None = None
    """Cortex's; batches form from what waits, without any timer."""


def _access(value: Any) -> Any:
    try:
        return policy_document(policy_from(value))
    except InvalidValue as error:
        raise refuse(f"public, key, login, or a map of groups and addresses ({error.message})") from error


Access = Annotated[dict[str, Any], BeforeValidator(_access)]
"""Who may come in, as `domain.access.policy_from` reads it."""


def _web_address(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise refuse("an address that begins with http:// or https://")
    return value


class AsyncFields(_Schema):
    time_to_live: Annotated[PositiveSeconds, Field(ge=TIME_TO_LIVE_SECONDS_MIN, le=TIME_TO_LIVE_SECONDS_MAX)] | None = (
        None
    )
    """How long a request may wait before it is sent; then it is a dead letter. SageMaker's limits and default."""
    timeout: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long one attempt may take. SageMaker's default."""
    attempts: Annotated[Count, Field(le=ATTEMPTS_MAX)] | None = None
    """How many attempts may end without an answer, because a replica died or the time was over."""
    max_concurrency: Annotated[Count, Field(le=CONCURRENCY_MAX)] | None = None
    """Most requests that are sent to one replica at once; SageMaker's MaxConcurrentInvocationsPerInstance."""
    webhook: Annotated[str, BeforeValidator(_web_address)] | None = None
    """An address that is told the end of each request, signed."""
    include_result: bool | None = None
    """Whether the webhook is sent small results too."""


def _sample(value: Any) -> float:
    """A share, or a percentage: 0.2, 20%."""
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        share = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if isinstance(value, bool) or not 0 < share <= 1:
        raise refuse("a share of requests, more than 0 and at most 1, or a percentage (20%)")
    return share


class CaptureFields(_Schema):
    sample: Annotated[float, BeforeValidator(_sample)] | None = None
    """Share of requests that are kept, `0.2` or `20%`; by default all."""
    payload: Literal["both", "input", "output", "none"] | None = None
    """Whether bodies of requests, of answers, or both are kept. Headers never are."""
    keep: PositiveSeconds | None = None
    """How long: `30d` by default."""


class VariantFields(_Schema):
    """Beside these, every field of the endpoint may stand in a variant, and holds for it alone."""

    model_config = ConfigDict(extra="allow")

    name: Name
    """What `X-Amzn-SageMaker-Target-Variant` names it by. It is an endpoint of its own, called NAME-VARIANT."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Its share of the requests, in relation to the others' weights; SageMaker's `InitialVariantWeight`."""
    shadow: bool = False
    """It gets a copy of every request, and its answers are thrown away; SageMaker's `ShadowProductionVariants`."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_more(cls, written: Any) -> Any:
        for field in ("kind", "variants"):
            if isinstance(written, dict) and field in written:
                raise refuse(f"a variant without {field}; it has its endpoint's")
        return cast("Any", written)


Variants = Annotated[list[VariantFields], Field(min_length=1, max_length=MEMBERS_MAX)]


class VariedFields(_Schema):
    """What an endpoint with variants has of its own; all else is its variants'."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    kind: Literal["endpoint", "RealtimeAPI"] = "endpoint"
    variants: Variants


class EndpointFields(_Schema):
    name: Name
    """What it is called in its URL; unique in the yard, case does not tell names apart."""
    kind: Literal["endpoint", "RealtimeAPI", "async", "AsyncAPI"] = "endpoint"
    """`async` queues every request durably. `RealtimeAPI` and `AsyncAPI` are Cortex's words for the two."""
    model: Model | None = None
    """A registered model (`price`, `price:3`, `price@champion`) or a path relative to the yard file."""
    models: ModelsFields | None = None
    """Many models behind one endpoint: each request names one, in the header X-Amzn-SageMaker-Target-Model or as
    `?model=NAME`."""
    predictor: PredictorFields | None = None
    """Code of your own; not needed for a model file that a loader knows."""
    compute: ComputeFields = ComputeFields()
    """What one replica reserves."""
    autoscaling: AutoscalingFields = AutoscalingFields()
    """How many replicas there are, and when that changes."""
    update_strategy: UpdateFields = UpdateFields()
    """How versions change."""
    variants: Variants | None = None
    """Several models behind one name, each with a share of the requests; SageMaker's `ProductionVariants`."""
    networking: NetworkingFields | None = None
    """Cortex's."""
    endpoint: str | None = None
    """Cortex's; the path is always /endpoints/NAME/invocations."""
    tracker: TrackerFields | None = None
    """Counts predictions for /metrics."""
    capture: CaptureFields | None = None
    """Keeps requests and answers as Parquet, for `modelyard captures`."""
    monitoring: TrackerFields | None = None
    """Cortex's later name of `tracker`."""
    server_side_batching: BatchingFields | None = None
    """Cortex's section for batches."""
    node_groups: list[str] | None = None
    """Cortex's; there is one machine."""
    max_batch_size: BatchSize | None = None
    """Most requests that one call may hold, where the predictor takes several; larger is quicker and later."""
    max_in_flight: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    """Most requests inside one replica; by default twice a batch, so that the next gathers while one runs, and as many
    quick calls of one request each as fill a millisecond."""
    max_queue_length: Annotated[CountOrNone, Field(le=QUEUE_LENGTH_MAX)] | None = None
    """Most requests that wait in the gateway; beyond it 503 at once, because a long wait is an answer too late."""
    max_body: Annotated[SizeBytes, Field(ge=1, le=BODY_BYTES_MAX)] | None = None
    """Largest body of a request; beyond it 413 before it is read. The default is SageMaker's."""
    timeout: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """From the last byte of a request to the first of its answer; then 504. The default is SageMaker's."""
    start_limit: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """From a replica's start to its readiness; then the start has failed."""
    drain_limit: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long a replica that leaves may finish what it holds; then it is ended."""
    ttl: Annotated[PositiveSeconds, Field(le=TTL_SECONDS_MAX)] | None = None
    """Deletes the endpoint when it had no request for so long, announced before; by default it stays. What only is to
    cost nothing while nobody asks wants `min_replicas: 0` instead."""
    asynchronous: Annotated[AsyncFields | None, Field(alias="async")] = None
    """How requests are queued, where `kind` is `async`."""
    idempotent: bool | None = None
    """Whether a request may be sent once more when its replica died; `false` where asking twice does harm."""
    access: Access | None = None
    """Who may call it: `public`, `key` (whoever was granted it), `login` (any person who signed in), `{groups:
    [NAME]}`;
    `addresses` narrows each. Left out, everybody on loopback, elsewhere as `key`."""
    require_approval: bool | None = None
    """Whether the deploy is refused unless the registered model is approved."""
    env: Environment | None = None
    """Environment variables; a value or `{secret: NAME}`."""

    @model_validator(mode="after")
    def _can_predict(self) -> Self:
        if self.model is None and self.predictor is None and self.models is None:
            raise refuse("a `model`, a `predictor`, or both, or `models`; without them there is nothing to serve")
        return self


def _schedule(value: Any) -> Any:
    if isinstance(value, str):
        return {"cron": value}
    if not isinstance(value, dict):
        raise refuse("a cron expression, or a map of cron, time_zone, missed and overlap")
    return cast("dict[str, Any]", value)


class ScheduleFields(_Schema):
    cron: Annotated[str, Field(min_length=1, max_length=256)]
    """`MINUTE HOUR DAY MONTH WEEKDAY`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` (in quotes)."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """Whose clock it is: a name such as `Europe/Berlin`."""
    missed: Literal["once", "skip"] = "once"
    """After the yard was down at one or more of its times: start once, or wait for the next."""
    overlap: Literal["skip", "allow"] = "skip"
    """While what was started before still goes on: leave the time out, or start beside it."""


Schedule = Annotated[ScheduleFields, BeforeValidator(_schedule)]


def _event(value: Any) -> Any:
    if len(json.dumps(value).encode()) > SCHEDULED_EVENT_BYTES_MAX:
        raise refuse(f"at most {SCHEDULED_EVENT_BYTES_MAX} bytes of JSON")
    return value


class FunctionScheduleFields(ScheduleFields):
    event: Annotated[Any, BeforeValidator(_event)] = None
    """What it is called with, written as YAML; without it EventBridge's `Scheduled Event`, with the planned `time`."""


FunctionSchedule = Annotated[FunctionScheduleFields, BeforeValidator(_schedule)]


class FunctionFields(_Schema):
    name: Name
    """What it is called in its URL, `/functions/NAME`; functions and endpoints share their names."""
    kind: Literal["function"]
    """Says that this is a function."""
    handler: Annotated[str, Field(min_length=1)]
    """`FILE.FUNCTION`, relative to the yard file: `app.handler` is `handler` in `app.py`."""
    runtime: Literal["python", "awslambdaric", "provided"] = "python"
    """What calls the handler: a replica of the yard, forked from a template; AWS's own client, which the requirements
    must have; or the executable `bootstrap` of the code, over Lambda's runtime API."""
    timeout: Annotated[PositiveSeconds, Field(le=TIMEOUT_SECONDS_MAX)] | None = None
    """How long one event may take; then it is broken off. The default is Lambda's 3 s."""
    concurrency: Annotated[Count, Field(le=INSTANCES_MAX)] = CONCURRENCY
    """Most events that are under way at once, each in an instance of its own; beyond it 429."""
    provisioned: Annotated[CountOrNone, Field(le=INSTANCES_MAX)] = 0
    """Instances that are kept ready; with 0 there are none while nobody asks."""
    idle: Annotated[Seconds, Field(le=IDLE_SECONDS_MAX)] | None = None
    """How long the last instance stays without an event: 5 minutes by default."""
    memory: MemoryBytes = None
    """What one instance reserves, and the most that it may take for itself."""
    cpu: CpuMillis | None = None
    """What one instance reserves of the cores."""
    max_body: Annotated[SizeBytes, Field(ge=1, le=BODY_BYTES_MAX)] | None = None
    """Largest event; the default is Lambda's 6 MiB."""
    python: Annotated[str | None, BeforeValidator(_python_version)] = None
    """Version of Python for the package's own environment; by default the yard's."""
    python_path: str | None = None
    """A folder that imports begin at, beside the handler's own and the project's: a layer."""
    asynchronous: Annotated[AsyncFields | None, Field(alias="async")] = None
    """How events that are queued are treated: two more attempts by default, as Lambda has it."""
    schedule: FunctionSchedule | None = None
    """When it is called by itself: a cron expression, or a map. Each call is an event that is queued."""
    access: Access | None = None
    """Who may call it, as with an endpoint."""
    env: Environment | None = None
    """Environment variables; a value or `{secret: NAME}`."""


def _route(value: Any) -> Any:
    """`function/NAME`, `endpoint/NAME`, `site/NAME`, a URL, or a map."""
    if isinstance(value, str):
        kind, slash, name = value.partition("/")
        if slash and kind in ("function", "endpoint", "site"):
            return {kind: name}
        if "://" in value:
            return {"url": value}
    if not isinstance(value, dict):
        raise refuse("function/NAME, endpoint/NAME, site/NAME, a URL, or a map")
    return cast("dict[str, Any]", value)


def _payload(value: Any) -> Any:
    # Without quotes YAML reads 2.0 as a number.
    return f"{value:.1f}" if isinstance(value, float) else value


class GatewayRouteFields(_Schema):
    function: Name | None = None
    """The function that answers; it gets an event in API Gateway's shape."""
    endpoint: Name | None = None
    """The endpoint that answers; it gets the body as it came."""
    site: Name | None = None
    """The site whose files are below what comes before the route's `{proxy+}`; its index is at that place itself."""
    url: str | None = None
    """Another server; `{proxy}` and other parameters stand for what they matched. Addresses of this machine are
    refused."""
    payload: Annotated[Literal["1.0", "2.0"], BeforeValidator(_payload)] | None = None
    """Format of the event, as API Gateway's HTTP APIs have them; 2.0 by default."""
    key: bool = False
    """Whether one of the gateway's `keys` must be shown, as `x-api-key`."""
    authorizer: str | None = None
    """Which of the gateway's `authorizers` must have proved the token."""
    scopes: list[str] | None = None
    """Scopes of which the token must have one."""
    body: dict[str, Any] | None = None
    """JSON Schema of the body; what does not fit gets 400."""
    query: list[str] | None = None
    """Query parameters that must be there."""
    cache: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """For how long an answer to GET is given again to whoever asks the same."""
    cache_headers: list[str] | None = None
    """Request headers by which such answers differ."""
    timeout: Annotated[PositiveSeconds, Field(le=30)] | None = None
    """For a `url`: how long the other server may take; 30 s by default and at most."""


class CorsFields(_Schema):
    origins: list[str]
    """Origins whose pages may ask: `https://example.com`, `https://*`, `*`."""
    methods: list[str] | None = None
    """Methods beside GET, HEAD and POST."""
    headers: list[str] | None = None
    """Request headers that such pages may send."""
    expose: list[str] | None = None
    """Headers of answers that they may read."""
    max_age: Seconds | None = None
    """How long a browser may remember this."""
    credentials: bool = False
    """Whether cookies and credentials may go along; then `*` is answered with the page's own origin."""


class PlanFields(_Schema):
    rate: Annotated[float, Field(gt=0)] | None = None
    """Requests a second, in the long run."""
    burst: Count | None = None
    """Requests at once; by default what one second allows."""
    quota: Count | None = None
    """Requests in a period."""
    per: Literal["day", "week", "month"] | None = None
    """The period: a day by default; a month counts 30 days."""


class GatewayKeyFields(_Schema):
    name: Name
    """What it is called in logs and events."""
    secret: str
    """The yard's secret that is the key."""
    plan: str | None = None
    """Which of `plans` bounds it; without one it is not bounded."""


class AuthorizerFields(_Schema):
    issuer: str
    """Who signs: the token's `iss`, word by word."""
    audience: list[str]
    """For whom: one of these must be the token's `aud`, or its `client_id` where it has none."""
    jwks: str | None = None
    """Where the issuer's keys are; by default its discovery document says so."""
    source: str | None = None
    """The header that has the token: `authorization` by default."""


class GatewayFields(_Schema):
    name: Name
    """What it is called in its URL, `/gateways/NAME`; its origin is `NAME.localhost`."""
    kind: Literal["gateway"]
    """Says that this is an API gateway."""
    routes: dict[str, Annotated[GatewayRouteFields, BeforeValidator(_route)]] = Field(default_factory=dict)
    """`GET /items/{id}`, `ANY /files/{proxy+}` or `$default`, each with what answers it: `function/NAME`,
    `endpoint/NAME`, `site/NAME`, a URL, or a map."""
    openapi: str | None = None
    """An OpenAPI description, YAML or JSON, whose operations name their integrations; its routes come first."""
    stages: dict[str, dict[str, str] | None] | None = None
    """Stages with their variables. `$default` has no prefix, every other one has its name."""
    cors: CorsFields | None = None
    """Which pages of other origins may ask, and read answers, errors among them."""
    keys: list[GatewayKeyFields] = Field(default_factory=list[GatewayKeyFields])
    """Keys of those who may use routes with `key: true`."""
    plans: dict[str, PlanFields] = Field(default_factory=dict[str, PlanFields])
    """Usage plans, by name."""
    authorizers: dict[str, AuthorizerFields] = Field(default_factory=dict[str, AuthorizerFields])
    """Issuers of tokens, by name."""
    throttle: PlanFields | None = None
    """Bounds all requests together."""
    hosts: list[str] = Field(default_factory=list[str])
    """Host names of its own."""
    port: OwnPort | None = None
    """A port of its own at the yard's address."""
    access: Access | None = None
    """Who may come in at all, as with an endpoint."""
    access_log: bool | None = None
    """Whether each request is written to `log/gateways/NAME.jsonl` of the home; it is by default."""
    title: str | None = None
    """For its OpenAPI description."""


class SiteFields(_Schema):
    name: Name
    """What it is called, and the label of its origin: `NAME.localhost`."""
    kind: Literal["site"]
    """Says that this is a site."""
    path: Annotated[str, Field(min_length=1)]
    """The folder whose files are served."""
    index: str = "index.html"
    """What is shown for a folder."""
    error: str | None = None
    """What is shown, with 404, for what is not there."""
    spa: bool = False
    """Whether the index is shown for every page that is not there: one page that finds its way by itself."""
    hosts: list[str] = []
    """Host names of its own, beside NAME.localhost and NAME.APPS_DOMAIN."""
    port: OwnPort | None = None
    """A port of its own at the yard's address, where no name resolves: `http://192.168.1.5:8501`."""
    cors: list[str] = []
    """Origins whose pages may read the files, `https://HOST`; `*` is every one."""
    cache: Annotated[Seconds, Field(le=CACHE_SECONDS_MAX)] | None = None
    """How long browsers need not ask whether a file is still the same; by default they ask each time."""
    access: Access | None = None
    """Who may come in, as with an app."""


class AppFields(_Schema):
    name: Name
    """What it is called, and the label of its origin: `NAME.localhost`."""
    kind: Literal["app"] = "app"
    """Says that this is an app."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """Its file; which framework it is written with is seen from what it imports. Of JupyterLab, the folder to work
    in."""
    framework: Literal["streamlit", "gradio", "dash", "panel", "jupyterlab"] | None = None
    """How `path` is started; needed where the file does not tell."""
    app: Annotated[str, Field(pattern=r"^[\w.]+(:[\w.]+)?$")] | None = None
    """An ASGI or WSGI application, `MODULE:NAME`, in place of `path`."""
    command: str | list[str] | None = None
    """What is started, in place of `path`; it listens on 127.0.0.1 at `$PORT`."""
    health: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = None
    """A path that answers below 500 once it is ready; by default the framework's, else that it listens is enough."""
    python: Annotated[str | None, BeforeValidator(_python_version)] = None
    """Version of Python for an environment of its own; by default the yard's."""
    replicas: Annotated[CountOrNone, Field(le=REPLICAS_MAX)] | None = None
    """So many, always; 0 stops it, and a page says so."""
    autoscaling: AutoscalingFields = AutoscalingFields()
    """When that changes; `min_replicas: 0` sends it to sleep when nobody looks, and the next visitor wakes it."""
    sticky: bool = True
    """Whether a visitor comes back to the replica where they were."""
    hosts: list[str] = []
    """Host names of its own, beside NAME.localhost and NAME.APPS_DOMAIN."""
    port: OwnPort | None = None
    """A port of its own at the yard's address, where no name resolves: `http://192.168.1.5:8501`."""
    access: Access | None = None
    """Who may come in: `public`, `key`, `login`, `{groups: [NAME]}`; `addresses` narrows each. Left out, everybody on
    loopback, elsewhere as `key`."""
    compute: ComputeFields = ComputeFields()
    """What one replica reserves."""
    update_strategy: UpdateFields = UpdateFields()
    """How versions change."""
    max_in_flight: Annotated[Count, Field(le=QUEUE_LENGTH_MAX)] | None = None
    """Most requests and open WebSockets inside one replica; by default 10000."""
    max_body: Annotated[SizeBytes, Field(ge=1, le=APP_BODY_BYTES_MAX)] | None = None
    """Largest upload; by default 200 MiB, Streamlit's own limit."""
    timeout: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long a request waits for a replica, where none is there."""
    start_limit: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """From a replica's start to its readiness; then the start has failed."""
    drain_limit: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long a replica that leaves keeps visitors who have a WebSocket open there; by default 5 minutes."""
    ttl: Annotated[PositiveSeconds, Field(le=TTL_SECONDS_MAX)] | None = None
    """Deletes it when nobody came for so long."""
    env: Environment | None = None
    """Environment variables; a value or `{secret: NAME}`."""


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
    """A file or a folder, relative to the yard file, or where it is to be fetched from."""
    content_type: str | None = None
    """What it holds, where the name does not say."""


class TrainingComputeFields(_Schema):
    cpu: CpuMillis | None = None
    """Cores that it waits for; one where nothing is stated. Numeric libraries get a thread per whole core."""
    mem: MemoryBytes = None
    """Memory that it waits for; a run that takes more is ended. Nothing stated waits for none and has no limit."""


def _retries(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"count": value}
    if not isinstance(value, dict):
        raise refuse("a count, or a map of count and on")
    return cast("dict[str, Any]", value)


class RetryFields(_Schema):
    count: Annotated[CountOrNone, Field(le=RETRIES_MAX)]
    """How often it is tried again; its `checkpoints` folder stays as the attempt before left it."""
    on: Annotated[list[Literal["interrupted", "failed", "max_runtime"]], Field(min_length=1)] | None = None
    """After which ends: `interrupted` (killed, or the yard or the machine went down), `failed`, `max_runtime`. By
    default the first two."""


class TrainingFields(_Schema):
    name: Name
    """What it is called; runs are NAME-1, NAME-2, ..."""
    kind: Literal["training", "task", "TaskAPI"]
    """Says that this is a training. As a `task`, Cortex's `TaskAPI`, deploy puts it into the yard, to be started there
    by name."""
    algorithm: Literal["xgboost", "linear-learner", "isolation-forest", "dbscan", "stl-esd", "autoencoder"] | None = (
        None
    )
    """A built-in [algorithm](algorithms.md). Exactly one of `algorithm` and `entry`."""
    entry: Annotated[str, Field(min_length=1)] | None = None
    """A script of your own, relative to the yard file; it runs in SageMaker's container contract."""
    python_path: str | None = None
    """A folder that imports begin at, beside the script's own."""
    inputs: dict[ChannelName, Annotated[ChannelFields, BeforeValidator(_channel)]] = Field(default_factory=dict)
    """Channels: name to path, or to a map of path and content_type."""
    hyperparameters: dict[str, ScalarText] = Field(default_factory=dict)
    """Handed to the script as `--name value`, to an algorithm as they are."""
    model: ModelName | None = None
    """Name under which what the run wrote is registered when it succeeds."""
    max_runtime: Annotated[PositiveSeconds, Field(le=RUNTIME_SECONDS_MAX)] | None = None
    """How long it may run; then it is stopped. The default is SageMaker's day."""
    stop_grace: Annotated[Seconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """Between asking it to stop and ending it. The default is SageMaker's."""
    env: Environment | None = None
    """Environment variables; a value or `{secret: NAME}`."""
    compute: TrainingComputeFields | None = None
    """What it waits for, and may take."""
    priority: Annotated[int, Field(strict=True, ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    """Of the runs that wait the highest starts first."""
    retries: Annotated[RetryFields, BeforeValidator(_retries)] | None = None
    """Tries again what ended badly: a count, or `{count, on}`. By default nothing is tried again."""
    metrics: Annotated[dict[str, Expression], Field(max_length=DEFINITIONS_MAX)] = Field(default_factory=dict)
    """Metrics found in what a script prints, while it runs: name to regular expression, whose first group is the value
    (SageMaker's MetricDefinitions). A group called `step` is the step."""

    schedule: Schedule | None = None
    """When a run is started by itself: a cron expression, or a map. Deploy puts such a training into the yard."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.algorithm is None) == (self.entry is None):
            raise refuse("exactly one of `algorithm` (such as xgboost) and `entry` (a script)")
        if self.algorithm is not None and self.metrics:
            raise refuse("`metrics` with an `entry` alone; a built-in algorithm logs its own")
        return self


class BatchFields(_Schema):
    name: Name
    """What it is called; its transforms are NAME-1, NAME-2, ..."""
    kind: Literal["batch", "BatchAPI"]
    """Says that this is a batch transform. `BatchAPI` is Cortex's word for the same."""
    model: Model | None = None
    """What scores: a registered model (`price`, `price:3`, `price@champion`, found anew at each start), or a path."""
    endpoint: Name | None = None
    """An endpoint whose code and model score, in place of `model` and `predictor`."""
    predictor: PredictorFields | None = None
    """Code that scores, as an endpoint has it."""
    input: Annotated[str, Field(min_length=1)] | None = None
    """A file or a folder, or a URL. `{date}` and `{time}` in it, and in `output`, are those of the start."""
    output: Annotated[str, Field(min_length=1)] | None = None
    """A folder, or an `s3://` URL. `{job}` in it is the id of the transform."""
    content_type: str | None = None
    """What the input is; by default by file names."""
    accept: str | None = None
    """What the output is to be; by default as the input."""
    split: Literal["Auto", "None", "Line"] | None = None
    """How an object becomes requests."""
    strategy: Literal["Auto", "MultiRecord", "SingleRecord"] | None = None
    """Lines of a request: as many as fit, or one."""
    assemble: Literal["Auto", "None", "Line"] | None = None
    """What stands between answers."""
    max_payload_mb: Annotated[int | float, Field(ge=0, le=100)] | None = None
    """MiB of one request; 0 is without limit."""
    processes: Annotated[Count, Field(le=64)] | None = None
    """How many score at once."""
    compression: Literal["Auto", "None", "Gzip"] | None = None
    """Of the input; by default by file names."""
    csv_header: Literal["None", "Skip", "Repeat"] | None = None
    """The first line of CSV: a row, names to leave out, or names for every request."""
    input_filter: str | None = None
    """JSONPath: what of a record the model is sent."""
    output_filter: str | None = None
    """JSONPath: what of the answer is written."""
    join: Literal["None", "Input"] | None = None
    """`Input` writes each record with its answer."""
    timeout: Annotated[PositiveSeconds, Field(le=LIMIT_SECONDS_MAX)] | None = None
    """How long one request may take."""
    retries: Annotated[CountOrNone, Field(le=3)] | None = None
    """How often a request that failed is tried again."""
    batch_size: Annotated[Count, Field(le=BATCH_SIZE_MAX)] | None = None
    """Records in one call of `predict_batch`."""
    env: Environment | None = None
    """Environment variables; a value or `{secret: NAME}`."""
    compute: TrainingComputeFields | None = None
    """What it waits for, and may take."""
    priority: Annotated[int, Field(strict=True, ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    """Of the jobs that wait the highest starts first."""
    schedule: Schedule | None = None
    """When it is started by itself: a cron expression, or a map."""
    networking: NetworkingFields | None = None
    """Cortex's."""

    @model_validator(mode="after")
    def _something_scores(self) -> Self:
        own = self.model is not None or self.predictor is not None
        if own == (self.endpoint is not None):
            raise refuse("either `endpoint`, or `model`, `predictor` or both")
        if self.schedule is not None and (self.input is None or self.output is None):
            raise refuse("`input` and `output` beside a `schedule`")
        return self


class WebhookFields(_Schema):
    url: Annotated[str, Field(min_length=1)]
    """Where a message is posted to."""
    secret: str | None = None
    """Name of the yard's secret that messages are signed with, as Standard Webhooks has it."""


class AlarmActionFields(_Schema):
    rollback: bool | None = None
    """Whether the endpoint goes back to the version before when the alarm goes off."""
    rollback_within: Seconds | None = None
    """Only a version that has come within this time is rolled back."""
    webhooks: Annotated[list[WebhookFields], Field(max_length=WEBHOOKS_MAX)] = Field(
        default_factory=list[WebhookFields]
    )
    """A message is posted to each: signed, tried again for some time, with the same id each time."""
    email: Annotated[list[str], Field(max_length=ADDRESSES_MAX)] = Field(default_factory=list[str])
    """Mail goes to these addresses, by the server that `MODELYARD_MAIL_HOST` names."""
    notify: list[Literal["alarm", "ok", "insufficient_data"]] | None = None
    """States that webhooks and mail tell of when the alarm enters them."""


class SplitMemberFields(_Schema):
    name: Name
    """The endpoint that answers."""
    weight: Annotated[float, Field(ge=0, le=100)] | None = None
    """Its share of the requests, in percent; those of all but the shadow sum to 100."""
    shadow: bool = False
    """It gets a copy of every request, and its answers are thrown away."""
    variant: Name | None = None
    """What `X-Amzn-SageMaker-Target-Variant` may name it by; by default the endpoint's name."""


class SplitterFields(_Schema):
    name: Name
    """What it is called in its URL; no endpoint may have the same name."""
    kind: Literal["traffic_splitter", "TrafficSplitter"]
    """Says that this is a splitter. `TrafficSplitter` is Cortex's word for the same."""
    apis: Annotated[list[SplitMemberFields], Field(min_length=1, max_length=MEMBERS_MAX)]
    """The endpoints that answer, each with its share."""
    networking: NetworkingFields | None = None
    """Cortex's."""


class AlarmFields(_Schema):
    name: Name
    """What it is called."""
    kind: Literal["alarm"]
    """Says that this is an alarm."""
    endpoint: Name
    """The endpoint that is watched."""
    variant: Name | None = None
    """Of an endpoint with `variants`, the one that is watched."""
    metric: str
    """What is measured of it: `error_rate`, `latency_p95`, `queued`, ...; `modelyard metrics -o json` shows all."""
    comparison: Literal[
        ">",
        ">=",
        "<",
        "<=",
        "GreaterThanThreshold",
        "GreaterThanOrEqualToThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
    ]
    """How a value must stand to the threshold to breach it, as a sign or in CloudWatch's words."""
    threshold: int | float
    """What it is compared with: seconds for times, 0 to 1 for `error_rate`."""
    period: PositiveSeconds | None = None
    """How long one period is: a multiple of 5s."""
    periods: Count | None = None
    """How many of the last periods are looked at."""
    datapoints: Count | None = None
    """How many of them must breach; by default all."""
    missing: Literal["missing", "ignore", "breaching", "not_breaching"] | None = None
    """What a period counts as in which nothing was measured: as nothing, as the state before, or as either."""
    version: Count | None = None
    """One version of the endpoint alone."""
    actions: AlarmActionFields = AlarmActionFields()
    """What follows when its state changes."""


def _parameter(value: Any) -> Any:
    if isinstance(value, list):
        return {"values": cast("list[Any]", value)}
    if not isinstance(value, dict):
        raise refuse("a map of min and max, or a list of values")
    return cast("dict[str, Any]", value)


class ParameterFields(_Schema):
    type: Literal["continuous", "integer", "categorical"] | None = None
    """By default integer where both ends are whole numbers, categorical where there are values, else continuous."""
    min: float | int | None = None
    """Where the range begins."""
    max: float | int | None = None
    """Where the range ends; it belongs to it."""
    values: Annotated[list[Any], Field(min_length=1, max_length=VALUES_MAX)] | None = None
    """What there is to choose among; a list in place of the map says the same."""
    scaling: Literal["auto", "linear", "logarithmic", "reverse_logarithmic"] | None = None
    """How the range is searched: `auto` is logarithmic where it spans three magnitudes."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        ends = self.min is not None and self.max is not None
        if ends == (self.values is not None) or (self.type == "categorical" and ends):
            raise refuse("either `min` and `max` or `values`")
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise refuse("`min` below `max`")
        return self


Parameter = Annotated[ParameterFields, BeforeValidator(_parameter)]


class ObjectiveFields(_Schema):
    metric: Annotated[str, Field(min_length=1)]
    """A metric that the training logs, such as `validation-rmse`."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Which way is better."""


class TuningFields(_Schema):
    name: Name
    """What it is called; tunings are NAME-1, NAME-2, ..., their trials NAME-1-1, NAME-1-2, ..."""
    kind: Literal["tuning"]
    """Says that this is a tuning."""
    training: str
    """A training of this file, which every trial runs."""
    objective: ObjectiveFields
    """What is to become best."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1, max_length=RANGES_MAX)]
    """Hyperparameters to search, by name: a map of min and max, or a list of values."""
    strategy: Literal["bayesian", "random", "grid"] | None = None
    """How the next trial is chosen. A grid tries every combination and has no continuous ranges."""
    max_trials: Annotated[Count, Field(le=TRIALS_MAX)] | None = None
    """How many trials there are."""
    parallel_trials: Annotated[Count, Field(le=PARALLEL_TRIALS_MAX)] | None = None
    """How many run at the same time, where there is room."""
    early_stopping: bool | None = None
    """Whether a trial is stopped that is worse than the median of those before it at the same step."""
    target: float | int | None = None
    """A value of the metric that is good enough: a trial that reaches it ends the tuning."""
    max_runtime: Annotated[PositiveSeconds, Field(le=RUNTIME_SECONDS_MAX)] | None = None
    """How long the tuning may run; then its trials are stopped."""
    seed: Annotated[CountOrNone, Field(lt=2147483648)] | None = None
    """Where random numbers begin."""
    model: ModelName | None = None
    """Name under which the best trial's model is registered."""
