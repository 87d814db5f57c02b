"""`kind: function`: fields as written -> an endpoint with a handler for its predictor."""

from pathlib import Path
from typing import Any

from modelyard.domain.functions import (
    ATTEMPTS,
    CONCURRENCY,
    START_SECONDS,
    TIMEOUT_SECONDS,
    Function,
    parse_handler,
    scaling_of,
)
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.endpoints import EndpointResource, asynchronous_settings
from modelyard.manifest.places import check_place
from modelyard.manifest.schedules import read_schedule
from modelyard.manifest.schema import FunctionFields
from modelyard.manifest.variables import Variables


def read_function(document: Document, index: int, label: str, folder: Path) -> EndpointResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, FunctionFields, index, label)
    if fields is None:
        return None
    try:
        path, name = parse_handler(fields.handler)
    except InvalidValue as error:
        add_problem(document, index, label, ("handler",), f"found {fields.handler!r}; allowed: {error.hint}")
        return None
    if fields.runtime != "provided":
        check_place(document, index, label, ("handler",), folder, path, inside=True, want="file")
    else:
        path = "bootstrap"
        check_place(document, index, label, ("runtime",), folder, path, inside=True, want="file")
    if fields.python_path is not None:
        check_place(document, index, label, ("python_path",), folder, fields.python_path, inside=True, want="folder")
    if fields.provisioned > fields.concurrency:
        sentence = f"found {fields.provisioned}; allowed: at most the concurrency, {fields.concurrency}"
        add_problem(document, index, label, ("provisioned",), sentence)
    schedule = _schedule(document, index, label, fields)
    if len(document.problems) > before:
        return None
    return EndpointResource(
        name=fields.name,
        line=document.line((index,)),
        predictor=_predictor(fields, path, name),
        settings=_settings(fields, schedule),
        access=fields.access,
    )


def _predictor(fields: FunctionFields, path: str, name: str) -> dict[str, Any]:
    return {
        "path": path,
        "config": {},
        "python_path": fields.python_path,
        "handler": name,
        **({"python": fields.python} if fields.python else {}),
        **({"runtime": fields.runtime} if fields.runtime != "python" else {}),
    }


def _schedule(document: Document, index: int, label: str, fields: FunctionFields) -> dict[str, Any] | None:
    timing = read_schedule(document, index, label, fields.schedule)
    event = fields.schedule.event if fields.schedule is not None else None
    return timing if timing is None or event is None else {**timing, "event": event}


def _settings(fields: FunctionFields, schedule: dict[str, Any] | None) -> dict[str, Any]:
    function = Function(fields.concurrency or CONCURRENCY)
    timeout = fields.timeout or TIMEOUT_SECONDS
    variables = fields.env or Variables()
    queued = {"attempts": ATTEMPTS, "timeout_seconds": timeout + START_SECONDS, "max_concurrency": 1}
    if fields.asynchronous is not None:
        queued |= asynchronous_settings(fields.asynchronous)
    scaling = scaling_of(function, fields.provisioned)
    if fields.idle is not None:
        scaling["last_replica_delay_seconds"] = fields.idle
    given: dict[str, Any] = {
        "function": {"concurrency": function.concurrency, **({"schedule": schedule} if schedule else {})},
        "autoscaling": scaling,
        "asynchronous": queued,
        "timeout_seconds": timeout,
        "max_in_flight": 1,
        "max_batch_size": 1,
        "idempotent": False,
        "cpu_millis": fields.cpu,
        "memory_bytes": fields.memory,
        "max_body_bytes": fields.max_body,
        "environment": variables.plain or None,
        "secrets": variables.secrets or None,
    }
    return {name: value for name, value in given.items() if value is not None}
