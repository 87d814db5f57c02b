"""Replays: against what a candidate is named as people name it, and what comes back line by line."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from modelyard.domain.names import name_key
from modelyard.domain.replays import Report, report_from
from modelyard.errors import InvalidValue, YardDown
from modelyard.protocol.errors import error_from
from modelyard.sdk.connection import Connection
from modelyard.sdk.deployments import endpoint_documents, local_model, open_endpoint, plan_deployment
from modelyard.sdk.packages import SUFFIX, import_archive
from modelyard.sdk.uploads import send_tree

_YAML = (".yaml", ".yml")

Told = Callable[[str, int], None]
"""Called with what goes on and how many requests are done."""


def against_document(connection: Connection, endpoint: str, against: str) -> dict[str, Any]:
    """`v3` is a version of the endpoint; a yard file or a project's folder its endpoint of that name; a package's file,
    a model's file or folder what they are; anything else a registered model. Files are sent first."""
    if against[:1] in "vV" and against[1:].isdigit():
        return {"version": int(against[1:])}
    place = Path(against).expanduser()
    if not (connection.own_files and place.exists()):
        return {"model": {"reference": against}}
    if place.suffix.lower() == SUFFIX:
        return {"package": import_archive(connection, place)["digest"]}
    if place.suffix.lower() in _YAML or (place.is_dir() and any((place / name).is_file() for name in _yard_files())):
        return {"resource": _resource(connection, endpoint, place)}
    return {"model": _model(connection, place)}


def follow_replay(lines: Iterator[str], told: Told) -> Report:
    """The report at the end. Raises what the yard says went wrong."""
    for line in lines:
        document: dict[str, Any] = json.loads(line)
        if "report" in document:
            return report_from(document["report"])
        if "error" in document:
            raise error_from(document, 500)
        told(str(document["state"]), int(document["done"]))
    raise YardDown("cannot finish the replay: the yard went away before its end", "ask again")


def _yard_files() -> tuple[str, ...]:
    from modelyard.manifest.yard_file import FILE_NAMES  # noqa: PLC0415 (start-up time)

    return FILE_NAMES


def _resource(connection: Connection, endpoint: str, place: Path) -> dict[str, Any]:
    plan = plan_deployment(place, None)
    chosen = [one for one in plan.endpoints if name_key(one.name) == name_key(endpoint)] or list(plan.endpoints)
    if len(chosen) != 1:
        names = ", ".join(one.name for one in plan.endpoints) or "none"
        raise InvalidValue(f"cannot tell which endpoint of {place} is the candidate", f"name one {endpoint}: {names}")
    (document,), _ = endpoint_documents(connection, plan, chosen)
    return document


def _model(connection: Connection, place: Path) -> dict[str, Any]:
    from modelyard.manifest.endpoints import EndpointResource  # noqa: PLC0415 (start-up time)

    with ExitStack() as unpacked:
        folder = place.absolute().parent
        # With a predictor's path, a model that no loader knows is no mistake: the endpoint has one.
        resource = EndpointResource("candidate", 0, model=str(place.absolute()), predictor={"path": ""})
        opened = open_endpoint(folder, resource, unpacked)
        model = local_model(folder, opened.resource)
        assert model is not None
        document: dict[str, Any] = {"tree": send_tree(connection, model.files)}
    return document | ({"framework": str(model.framework)} if model.framework is not None else {})
