"""`kind: endpoint`: fields as written -> what a deploy wishes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.names import name_key
from modelyard.manifest.autoscaling import check_scaling, processes_of, scaling_settings, scaling_values
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.model_folders import check_model_places, check_models, model_folder_settings
from modelyard.manifest.places import check_place
from modelyard.manifest.predictors import predictor_document
from modelyard.manifest.schema import QUEUE_LENGTH_MAX, AsyncFields, EndpointFields
from modelyard.manifest.strategies import check_update, strategy_settings
from modelyard.manifest.values import is_path
from modelyard.manifest.variables import Variables
from modelyard.protocol.routes import RESERVED_NAMES

_WITHOUT_EFFECT = {
    "compute": ("shm",),
    "models": ("disk_cache_size",),
    "networking": ("endpoint", "api_gateway", "local_port"),
    "server_side_batching": ("batch_interval",),
}
_BATCH_SIZE_DEFAULT: int = EndpointSpec.__dataclass_fields__["max_batch_size"].default
ASYNC_KINDS = ("async", "AsyncAPI")
"""Endpoints all of whose requests are queued."""

_SECTIONS_WITHOUT_EFFECT = ("endpoint", "node_groups")


@dataclass(frozen=True, slots=True)
class EndpointResource:
    """An endpoint as a yard file wishes it. What the file leaves out stays out: defaults are the domain's."""

    name: str
    line: int
    """Where it begins in the file, from 1; 0 where no file was read."""
    model: str | None = None
    """`price`, `price:3`, `price@champion`, or a path relative to the file's folder (it has a dot or a slash)."""
    predictor: dict[str, Any] | None = None
    """`{path, class, config, python_path, python?}`."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `EndpointSpec` but `package` and `model`."""
    app: dict[str, Any] | None = None
    """How an app is started and where it is visited; None is an endpoint."""
    access: dict[str, Any] | None = None
    """Who may call it; None leaves it to the yard."""
    notes: tuple[str, ...] = ()
    """What was read and has no effect."""

    @property
    def kind(self) -> str:
        return "app" if self.app is not None else "endpoint"

    @property
    def model_path(self) -> str | None:
        return self.model if self.model is not None and is_path(self.model) else None


def read_endpoint(document: Document, index: int, label: str, folder: Path) -> EndpointResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, EndpointFields, index, label)
    if fields is None:
        return None
    _check_together(document, index, label, fields)
    _check_places(document, index, label, fields, folder)
    if len(document.problems) > before:
        return None
    return EndpointResource(
        name=fields.name,
        line=document.line((index,)),
        model=fields.model,
        predictor=_predictor(fields),
        settings=_settings(fields) | model_folder_settings(fields, folder),
        access=fields.access,
        notes=_notes(fields),
    )


def _check_together(document: Document, index: int, label: str, fields: EndpointFields) -> None:
    scaling = fields.autoscaling
    check_scaling(document, index, label, scaling)
    if name_key(fields.name) in RESERVED_NAMES:
        sentence = f"found {fields.name}; allowed: any name but those of the yard's own addresses (it answers at /NAME)"
        add_problem(document, index, label, ("name",), sentence)
    check_update(document, index, label, fields.update_strategy)
    if fields.asynchronous and fields.kind not in ASYNC_KINDS:
        add_problem(document, index, label, ("async",), f"found beside kind {fields.kind}; allowed: kind async")
    if fields.tracker and fields.monitoring:
        sentence = "found beside tracker; allowed: one of the two, they mean the same"
        add_problem(document, index, label, ("monitoring",), sentence)
    _check_tracker(document, index, label, fields)
    check_models(document, index, label, fields)
    if fields.predictor and fields.predictor.app and fields.predictor.class_name:
        add_problem(document, index, label, ("predictor", "class"), "found beside app; allowed: one of the two")
    if scaling.threads_per_worker and scaling.threads_per_process:
        sentence = "found beside threads_per_process; allowed: one of the two, they mean the same"
        add_problem(document, index, label, ("autoscaling", "threads_per_worker"), sentence)
    if fields.max_batch_size and fields.server_side_batching:
        sentence = "found beside server_side_batching; allowed: one of the two, they mean the same"
        add_problem(document, index, label, ("max_batch_size",), sentence)
    if scaling.max_replica_concurrency and fields.max_queue_length is not None:
        sentence = "found beside max_queue_length; allowed: one of the two"
        add_problem(document, index, label, ("autoscaling", "max_replica_concurrency"), sentence)


def _check_tracker(document: Document, index: int, label: str, fields: EndpointFields) -> None:
    """What is tracked is one value of a predictor's answer. A bare model's answers are rows for whole batches, and an
    application's are its own."""
    if fields.predictor is not None and fields.predictor.app is None:
        return
    found = "without a predictor" if fields.predictor is None else "beside predictor.app"
    for name in ("tracker", "monitoring"):
        if getattr(fields, name) is not None:
            sentence = f"found {found}; allowed: beside a predictor with a class or functions, whose answers it reads"
            add_problem(document, index, label, (name,), sentence)


def _check_places(document: Document, index: int, label: str, fields: EndpointFields, folder: Path) -> None:
    if fields.model is not None and is_path(fields.model):
        check_place(document, index, label, ("model",), folder, fields.model)
    check_model_places(document, index, label, fields, folder)
    if fields.predictor is None:
        return
    check_place(document, index, label, ("predictor", "path"), folder, fields.predictor.path, inside=True, want="file")
    python_path = fields.predictor.python_path
    if python_path is not None:
        place = ("predictor", "python_path")
        check_place(document, index, label, place, folder, python_path, inside=True, want="folder")


def _predictor(fields: EndpointFields) -> dict[str, Any] | None:
    if fields.predictor is None:
        return None
    return {**predictor_document(fields.predictor), **_tracker(fields)}


def _tracker(fields: EndpointFields) -> dict[str, Any]:
    tracker = fields.tracker or fields.monitoring
    return {"tracker": {"key": tracker.key, "model_type": tracker.model_type}} if tracker is not None else {}


def _capture(fields: EndpointFields) -> dict[str, Any] | None:
    capture = fields.capture
    if capture is None:
        return None
    given = {"sample": capture.sample, "payload": capture.payload, "keep_seconds": capture.keep}
    return {name: value for name, value in given.items() if value is not None}


def _part(whole: int | None, processes: int) -> int | None:
    """What one of so many processes gets of a replica's."""
    return max(1, whole // processes) if whole is not None else None


def _settings(fields: EndpointFields) -> dict[str, Any]:
    scaling = fields.autoscaling
    processes = processes_of(scaling)
    variables = (fields.env or Variables()).over(fields.predictor.env if fields.predictor else None)
    batching = fields.server_side_batching
    given = {
        "cpu_millis": _part(fields.compute.cpu, processes),
        "memory_bytes": _part(fields.compute.mem, processes),
        "gpus": fields.compute.gpu or None,
        "threads_per_process": scaling.threads_per_process or scaling.threads_per_worker,
        "max_batch_size": fields.max_batch_size or (batching.max_batch_size if batching else None),
        "max_in_flight": fields.max_in_flight,
        "max_queue_length": fields.max_queue_length,
        "timeout_seconds": fields.timeout,
        "max_body_bytes": fields.max_body,
        "idempotent": fields.idempotent,
        "require_approval": fields.require_approval,
        "start_seconds": fields.start_limit,
        "drain_seconds": fields.drain_limit,
        "ttl_seconds": fields.ttl,
        "capture": _capture(fields),
        "max_surge": fields.update_strategy.max_surge,
        "max_unavailable": fields.update_strategy.max_unavailable,
        "update_strategy": strategy_settings(fields.update_strategy),
        "environment": variables.plain or None,
        "secrets": variables.secrets or None,
    }
    settings: dict[str, Any] = scaling_settings(scaling) | {
        name: value for name, value in given.items() if value is not None
    }
    if fields.kind in ASYNC_KINDS:
        given = fields.asynchronous or AsyncFields()
        settings["asynchronous"] = asynchronous_settings(given, fields.timeout)
        if scaling.min_replicas is None:
            # What waits in the queue wakes it, so it need not wait for that.
            settings.pop("replicas", None)
            settings["autoscaling"] = {"min_replicas": 0, **scaling_values(scaling)}
    if scaling.max_replica_concurrency is not None:
        settings |= _cortex_bounds(fields, settings, max(1, scaling.max_replica_concurrency // processes))
    return settings


def asynchronous_settings(given: AsyncFields, timeout_seconds: float | None = None) -> dict[str, Any]:
    """Fields of `domain.invocations.Asynchronous` that a file states; `timeout_seconds` is for one without its own."""
    settings = {
        "time_to_live_seconds": given.time_to_live,
        "timeout_seconds": given.timeout or timeout_seconds,
        "attempts": given.attempts,
        "max_concurrency": given.max_concurrency,
        "webhook": given.webhook,
        "include_result": given.include_result,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _cortex_bounds(fields: EndpointFields, settings: dict[str, Any], concurrency: int) -> dict[str, int]:
    """Cortex's `max_replica_concurrency` bounds all requests under way per replica, the running and the waiting; here
    those inside replicas and those in the gateway's queue have bounds of their own, which add up to the same."""
    threads = int(settings.get("threads_per_process", 1))
    # A predictor takes requests one by one unless the file gives it batches; a bare model file takes several.
    batch = int(settings.get("max_batch_size", 1 if fields.predictor else _BATCH_SIZE_DEFAULT))
    inside = min(concurrency, int(settings.get("max_in_flight", max(threads, 2 * batch))))
    replicas = max(1, scaling_values(fields.autoscaling).get("init_replicas") or fields.autoscaling.min_replicas or 1)
    return {"max_in_flight": inside, "max_queue_length": min(QUEUE_LENGTH_MAX, replicas * (concurrency - inside))}


def fields_without_effect() -> frozenset[str]:
    """Places of all fields that are read and have no effect so far."""
    inner = {f"{section}.{name}" for section, names in _WITHOUT_EFFECT.items() for name in names}
    return frozenset({*_SECTIONS_WITHOUT_EFFECT, *inner})


def _notes(fields: EndpointFields) -> tuple[str, ...]:
    without = [name for name in _SECTIONS_WITHOUT_EFFECT if name in fields.model_fields_set]
    for section, names in _WITHOUT_EFFECT.items():
        given = getattr(fields, section)
        if given is not None:
            without += [f"{section}.{name}" for name in names if name in given.model_fields_set]
    return (f"{fields.name}: without effect so far: {', '.join(without)}",) if without else ()
