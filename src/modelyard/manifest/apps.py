"""`kind: app`: fields as written -> what a deploy wishes."""

import shlex
from pathlib import Path
from typing import Any

from modelyard.domain.apps import (
    BODY_BYTES,
    DRAIN_SECONDS,
    TARGET_VISITORS,
    AppSettings,
    Program,
    check_app,
    framework_in,
    program_of,
)
from modelyard.errors import InvalidValue
from modelyard.manifest.autoscaling import check_scaling, scaling_values
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.endpoints import EndpointResource
from modelyard.manifest.places import check_place
from modelyard.manifest.schema import AppFields
from modelyard.manifest.strategies import check_update, strategy_settings
from modelyard.manifest.variables import Variables

SOURCE_BYTES_MAX = 2**20
"""How much of an app's file is read to see which framework it imports."""

_WAYS = ("command", "app", "framework")


def read_app(document: Document, index: int, label: str, folder: Path) -> EndpointResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, AppFields, index, label)
    if fields is None:
        return None
    _check_together(document, index, label, fields, folder)
    if len(document.problems) > before:
        return None
    try:
        check_app(AppSettings(tuple(fields.hosts), port=fields.port))
        program = _program(fields, folder)
    except InvalidValue as error:
        add_problem(document, index, label, (), f"{error.message}; {error.hint}")
        return None
    return EndpointResource(
        name=fields.name,
        line=document.line((index,)),
        settings=_settings(fields),
        access=fields.access,
        app={
            "command": list(program.command),
            "environment": dict(program.environment),
            "health": fields.health or program.health,
            "path": fields.path if fields.framework != "jupyterlab" else None,
            "python": fields.python,
            "hosts": fields.hosts,
            "port": fields.port,
            "sticky": fields.sticky,
        },
    )


def _check_together(document: Document, index: int, label: str, fields: AppFields, folder: Path) -> None:
    check_scaling(document, index, label, fields.autoscaling)
    check_update(document, index, label, fields.update_strategy)
    given = [one for one in _WAYS if getattr(fields, one) is not None]
    if len(given) > 1:
        add_problem(document, index, label, (given[1],), f"found beside {given[0]}; allowed: one of the two")
    if fields.path is not None:
        want = "folder" if fields.framework == "jupyterlab" else "file"
        check_place(document, index, label, ("path",), folder, fields.path, inside=True, want=want)
    elif not given:
        add_problem(document, index, label, (), "found no `path`; allowed: a `path`, a `command`, or an `app`")
    if fields.replicas is not None and scaling_values(fields.autoscaling):
        add_problem(document, index, label, ("replicas",), "found beside autoscaling; allowed: one of the two")


def _program(fields: AppFields, folder: Path) -> Program:
    framework = fields.framework
    if framework is None and fields.command is None and fields.app is None and fields.path is not None:
        with (folder / fields.path).open(encoding="utf-8", errors="replace") as file:
            framework = framework_in(file.read(SOURCE_BYTES_MAX))
        if framework is None:
            raise InvalidValue(
                f"cannot tell which framework {fields.path} is written with", "name a `framework`, or a `command`"
            )
    command = shlex.split(fields.command) if isinstance(fields.command, str) else fields.command
    return program_of(command=command, framework=framework, path=fields.path, application=fields.app)


def _settings(fields: AppFields) -> dict[str, Any]:
    variables = fields.env or Variables()
    given = {
        "cpu_millis": fields.compute.cpu,
        "memory_bytes": fields.compute.mem,
        "max_in_flight": fields.max_in_flight,
        "timeout_seconds": fields.timeout,
        "max_body_bytes": fields.max_body if fields.max_body is not None else BODY_BYTES,
        "start_seconds": fields.start_limit,
        "drain_seconds": fields.drain_limit if fields.drain_limit is not None else DRAIN_SECONDS,
        "ttl_seconds": fields.ttl,
        "max_surge": fields.update_strategy.max_surge,
        "max_unavailable": fields.update_strategy.max_unavailable,
        "update_strategy": strategy_settings(fields.update_strategy),
        "environment": variables.plain or None,
        "secrets": variables.secrets or None,
    }
    return _scaling(fields) | {name: value for name, value in given.items() if value is not None}


def _scaling(fields: AppFields) -> dict[str, Any]:
    """One replica where the file says nothing: what an app keeps in its memory, a second one does not have."""
    written = scaling_values(fields.autoscaling)
    if not written:
        return {"replicas": 1 if fields.replicas is None else fields.replicas}
    least = int(written.get("min_replicas", 1))
    most = int(written.setdefault("max_replicas", max(1, least)))
    if least == most:
        return {"replicas": least}
    return {"autoscaling": {"target_in_flight": TARGET_VISITORS, **written}}
