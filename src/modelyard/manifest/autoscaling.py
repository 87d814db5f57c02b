"""`autoscaling`: fields as written, with Cortex's names -> settings of the domain.

A section that says anything about scaling is Cortex's, whose maximum is 100 where none is given. Without one the yard
chooses: from one replica to as many as there are cores.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from modelyard.domain.names import nearest
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem, allowed_values
from modelyard.manifest.document import Document
from modelyard.manifest.schema import REPLICAS_MAX, AutoscalingFields

MAX_REPLICAS_CORTEX = 100

_FIELDS = {
    "min_replicas": "min_replicas",
    "max_replicas": "max_replicas",
    "init_replicas": "init_replicas",
    "target_replica_concurrency": "target_in_flight",
    "target_in_flight": "target_in_flight",
    "window": "window_seconds",
    "downscale_stabilization_period": "downscale_stabilization_seconds",
    "upscale_stabilization_period": "upscale_stabilization_seconds",
    "max_downscale_factor": "downscale_kept_share",
    "downscale_kept_share": "downscale_kept_share",
    "max_upscale_factor": "max_upscale_factor",
    "downscale_tolerance": "downscale_tolerance",
    "upscale_tolerance": "upscale_tolerance",
    "burst_factor": "burst_factor",
    "last_replica_delay": "last_replica_delay_seconds",
}
"""Name in the file -> name in `domain.autoscaling.Autoscaling`."""

_SAME = (
    ("target_replica_concurrency", "target_in_flight"),
    ("max_downscale_factor", "downscale_kept_share"),
    ("workers_per_replica", "processes_per_replica"),
)


def processes_of(fields: AutoscalingFields) -> int:
    """Replicas that stand for one of Cortex's, which may have several processes."""
    return fields.processes_per_replica or fields.workers_per_replica or 1


def scaling_values(fields: AutoscalingFields) -> dict[str, Any]:
    """What the section says, by the domain's names."""
    given = {_FIELDS[name]: getattr(fields, name) for name in _FIELDS}
    for theirs, ours in _SAME[:2]:
        given[_FIELDS[ours]] = getattr(fields, ours) if getattr(fields, ours) is not None else getattr(fields, theirs)
    found = {name: value for name, value in given.items() if value is not None}
    return _shared_out(found, processes_of(fields))


def _shared_out(given: dict[str, Any], processes: int) -> dict[str, Any]:
    """As many replicas as there are to be processes, each of which is meant to hold its part."""
    if processes == 1:
        return given
    counted = {"min_replicas": 1, "max_replicas": MAX_REPLICAS_CORTEX, **given}
    for name in ("min_replicas", "max_replicas", "init_replicas"):
        if name in counted:
            counted[name] = min(REPLICAS_MAX, int(counted[name]) * processes)
    if "target_in_flight" in counted:
        counted["target_in_flight"] = counted["target_in_flight"] / processes
    return counted


def scaling_settings(fields: AutoscalingFields) -> dict[str, Any]:
    """`{"replicas": n}` where there is nothing to scale, `{"autoscaling": {...}}` where there is, and nothing where the
    file says nothing."""
    given = scaling_values(fields)
    if not given:
        return {}
    least = int(given.get("min_replicas", 1))
    most = int(given.setdefault("max_replicas", max(MAX_REPLICAS_CORTEX, least)))
    return {"replicas": least} if least == most else {"autoscaling": given}


def check_scaling(document: Document, index: int, label: str, fields: AutoscalingFields) -> None:
    """Adds what does not go together to the document's problems."""
    least = 1 if fields.min_replicas is None else fields.min_replicas
    first = max(1, least) if fields.init_replicas is None else fields.init_replicas
    most = fields.max_replicas
    if first < least:
        sentence = f"found {first}; allowed: at least min_replicas, which is {least}"
        add_problem(document, index, label, ("autoscaling", "init_replicas"), sentence)
    if most is not None and first > most:
        sentence = f"found {most}; allowed: at least the {first} replicas that the endpoint begins with"
        add_problem(document, index, label, ("autoscaling", "max_replicas"), sentence)
    for theirs, ours in _SAME:
        if getattr(fields, theirs) is not None and getattr(fields, ours) is not None:
            sentence = f"found beside {ours}; allowed: one of the two, they mean the same"
            add_problem(document, index, label, ("autoscaling", theirs), sentence)


def scaling_changes(written: Mapping[str, str]) -> dict[str, Any]:
    """Single fields of the section, as they would be written in a file, by the domain's names. Raises InvalidValue."""
    unknown = next((name for name in written if name not in _FIELDS), None)
    if unknown is not None:
        near = nearest(unknown, _FIELDS)
        raise InvalidValue(
            f"cannot set {unknown}: there is no such field",
            f"did you mean {near}?" if near else f"allowed: {', '.join(_FIELDS)}",
        )
    try:
        return scaling_values(AutoscalingFields.model_validate({name: _plain(text) for name, text in written.items()}))
    except ValidationError as error:
        one = error.errors(include_url=False)[0]
        name = str(one["loc"][0])
        raise InvalidValue(f"cannot set {name} to {written[name]!r}", f"allowed: {allowed_values(one)}") from error


def _plain(text: str) -> str | int | float:
    """A number where it is one, as YAML would read it."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
