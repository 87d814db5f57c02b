"""One resource's fields against its schema: pydantic's findings become problems in the file's own words."""

from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from modelyard.domain.names import nearest
from modelyard.manifest.document import Document, FieldPath, field_text
from modelyard.manifest.problems import Problem, shown
from modelyard.manifest.schema import (
    AlarmActionFields,
    AuthorizerFields,
    AutoRollbackFields,
    AutoscalingFields,
    BatchingFields,
    CaptureFields,
    ChannelFields,
    ComputeFields,
    CorsFields,
    GatewayKeyFields,
    GatewayRouteFields,
    NetworkingFields,
    ObjectiveFields,
    ParameterFields,
    PlanFields,
    PredictorFields,
    RetryFields,
    ScheduleFields,
    SplitMemberFields,
    TrackerFields,
    UpdateFields,
    VariantFields,
)

FieldsT = TypeVar("FieldsT", bound=BaseModel)

_SECTIONS: dict[str, type[BaseModel]] = {
    "predictor": PredictorFields,
    "compute": ComputeFields,
    "autoscaling": AutoscalingFields,
    "update_strategy": UpdateFields,
    "auto_rollback": AutoRollbackFields,
    "networking": NetworkingFields,
    "tracker": TrackerFields,
    "monitoring": TrackerFields,
    "server_side_batching": BatchingFields,
    "inputs": ChannelFields,
    "actions": AlarmActionFields,
    "capture": CaptureFields,
    "retries": RetryFields,
    "schedule": ScheduleFields,
    "objective": ObjectiveFields,
    "parameters": ParameterFields,
    "apis": SplitMemberFields,
    "routes": GatewayRouteFields,
    "cors": CorsFields,
    "keys": GatewayKeyFields,
    "plans": PlanFields,
    "throttle": PlanFields,
    "authorizers": AuthorizerFields,
    "variants": VariantFields,
}

_FOREIGN = {
    "pod": "containers are not run here; write a `predictor`, or name a `model` file",
    "handler": "write `predictor`, with a class that has `predict`",
    "models": "an endpoint serves one model; write an endpoint for each",
    "multi_model_reloading": "an endpoint serves one model; write an endpoint for each",
    "signature_key": "only TensorFlow predictors have it, and those are not served",
    "dependencies": "the code runs in the yard's own environment",
    "image": "containers are not run here; the code runs in the yard's own environment",
}
"""Fields of Cortex that mean something this yard does not do, with what to do instead."""

_ALLOWED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "list_type": "a list",
    "string_too_short": "text that is not empty",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "not_allowed": "{allowed}",
}


def check_fields(document: Document, schema: type[FieldsT], index: int, label: str) -> FieldsT | None:
    """The resource at `index` as its schema has it; None where problems were added to the document."""
    written = cast("dict[str, Any]", document.value[index])
    try:
        return schema.model_validate(_without_nothing(written))
    except ValidationError as error:
        for one in error.errors(include_url=False):
            document.problems.append(_problem(document, schema, index, label, one))
        return None


def add_problem(document: Document, index: int, label: str, path: FieldPath, sentence: str) -> None:
    document.problems.append(Problem(document.line((index, *path)), field_text((label, *path)), sentence))


def _without_nothing(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields written without a value, or as Null, are as good as left out; in users' own maps they stay."""
    kept: dict[str, Any] = {}
    for key, value in fields.items():
        if value is None:
            continue
        section = isinstance(value, dict) and key in _SECTIONS and key not in ("inputs", "parameters")
        kept[key] = _without_nothing(cast("dict[str, Any]", value)) if section else value
    return kept


def _problem(document: Document, schema: type[BaseModel], index: int, label: str, error: ErrorDetails) -> Problem:
    path: FieldPath = tuple(part for part in error["loc"] if part != "[key]")
    line = document.line((index, *path))
    return Problem(line, field_text((label, *path)), _sentence(document, schema, (index, *path), error))


def _sentence(document: Document, schema: type[BaseModel], path: FieldPath, error: ErrorDetails) -> str:
    name = str(path[-1])
    if error["type"] == "extra_forbidden":
        return _unknown(name, _fields_of(schema, path[1:-1]))
    if error["type"] == "missing":
        return "missing; it must be given"
    if error["loc"] and error["loc"][-1] == "[key]":
        return f"found the name {name!r}; allowed: letters, digits, hyphens, dots and underscores, at most 64"
    allowed = allowed_values(error)
    if len(path) == 1:
        return f"needs {allowed}"
    found = _at(document.value, path)
    near = nearest(found, _words(error)) if isinstance(found, str) and _words(error) else None
    return f"found {shown(found)}; " + (f"did you mean {near}? " if near else "") + f"allowed: {allowed}"


def _unknown(name: str, known: list[str]) -> str:
    if name in _FOREIGN:
        return f"unknown field; {_FOREIGN[name]}"
    near = nearest(name, known)
    return "unknown field; " + (f"did you mean {near}? " if near else "") + f"allowed: {', '.join(known)}"


def _fields_of(schema: type[BaseModel], path: FieldPath) -> list[str]:
    found = _SECTIONS.get(str(path[-1])) or _SECTIONS.get(str(path[0]), schema) if path else schema
    return [field.alias or name for name, field in found.model_fields.items()]


def allowed_values(error: ErrorDetails) -> str:
    """What would have been right instead, in words."""
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        return ", ".join(_words(error))
    sentence = _ALLOWED.get(error["type"])
    return sentence.format(**context) if sentence else error["msg"]


def _words(error: ErrorDetails) -> list[str]:
    if error["type"] != "literal_error":
        return []
    expected = str(error.get("ctx", {}).get("expected", ""))
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _at(value: Any, path: FieldPath) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
