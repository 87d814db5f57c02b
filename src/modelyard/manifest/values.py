"""Types of the schema's fields: text as people write it -> the domain's units. A refusal says what is allowed."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from modelyard_worker.log_metrics import compiled
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from modelyard.domain.hosts import PORT_MAX, PORT_MIN
from modelyard.domain.models import parse_model_reference
from modelyard.domain.names import check_model_name, check_name
from modelyard.domain.quantities import cpu_millis, duration_seconds, memory_bytes, share_of
from modelyard.errors import InvalidValue

TEXT_LENGTH_MAX = 32 * 2**10
"""One environment variable or hyperparameter."""


def refuse(allowed: str) -> PydanticCustomError:
    """The refusal of a value, with what is allowed instead."""
    return PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})


def _reads(read: Callable[[Any], Any], allowed: str, *types: type) -> Callable[[Any], Any]:
    """A check that admits only `types` (never a truth value) and turns the domain's refusal into one with a place."""

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, types):
            raise refuse(allowed)
        try:
            return read(value)
        except InvalidValue as error:
            raise refuse(allowed) from error

    return check


def _size(value: str | int) -> int:
    text = str(value).strip()
    # Kubernetes' units as the domain reads them, and the way people say them.
    return memory_bytes(text.removesuffix("B") if text.endswith(("iB", "kB", "MB", "GB")) else text)


def _share(value: str | int) -> str:
    text = str(value).strip()
    share_of(text, 1, up=True)
    return text


def _model(value: str) -> str:
    if "://" in value:
        raise refuse("a model's name (price, price:3, price@champion) or a path; a URL is not read yet")
    if not value.strip() or "\0" in value:
        raise refuse("a model's name (price, price:3, price@champion) or a path (models/price.ubj)")
    if not is_path(value):
        parse_model_reference(value)
    return value


def is_path(model: str) -> bool:
    """Whether a `model` means a file or a folder: names have neither dots nor slashes."""
    return "/" in model or "." in model


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text or len(text) > TEXT_LENGTH_MAX:
        raise InvalidValue(f"cannot use the value: it holds a NUL or has more than {TEXT_LENGTH_MAX} characters")
    return text


def scalar_text(value: Any) -> str:
    """Text as an environment variable or a hyperparameter has it: `true` for true, JSON's for numbers."""
    if not isinstance(value, str | int | float):
        raise refuse("text, a number or true/false; write lists and maps as JSON in quotes")
    return _text(value)


def _expression(value: Any) -> str:
    try:
        compiled("metric", value if isinstance(value, str) else "")
    except ValueError as error:
        raise refuse(f"a regular expression with a group for the value, such as loss=([0-9.]+); {error}") from error
    return value


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _percent(value: str | float) -> float:
    text = str(value).strip().removesuffix("%").strip()
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise InvalidValue(f"cannot read {value!r} as a share")
    return percent


_CPU = "cores (0.5, 2) or thousandths of one (200m)"
_MEMORY = "512Mi, 2Gi, 500M or bytes"
_DURATION = "500ms, 60s, 5m, 1h30m or seconds"
_POSITIVE_DURATION = f"{_DURATION}, more than nothing"


def _positive_seconds(value: str | float) -> float:
    seconds = duration_seconds(value)
    if seconds <= 0:
        raise InvalidValue("cannot wait for no time")
    return seconds


Name = Annotated[
    str,
    BeforeValidator(_reads(check_name, "a DNS label: letters, digits, hyphens, at most 63", str)),
]
CpuMillis = Annotated[int, BeforeValidator(_reads(cpu_millis, _CPU, str, int, float))]
MemoryBytes = Annotated[int | None, BeforeValidator(_optional(_reads(memory_bytes, _MEMORY, str, int)))]
SizeBytes = Annotated[int, BeforeValidator(_reads(_size, "6Mi, 500k or bytes, at most 100Mi", str, int))]
Seconds = Annotated[float, BeforeValidator(_reads(duration_seconds, _DURATION, str, int, float))]
PositiveSeconds = Annotated[float, BeforeValidator(_reads(_positive_seconds, _POSITIVE_DURATION, str, int, float))]
Share = Annotated[str, BeforeValidator(_reads(_share, "a count (1) or a percentage (25%)", str, int))]
Percent = Annotated[float, BeforeValidator(_reads(_percent, "a percentage (10%)", str, int, float))]
Model = Annotated[str, BeforeValidator(_reads(_model, "a model's name (price, price:3, price@best) or a path", str))]
ModelName = Annotated[
    str, BeforeValidator(_reads(check_model_name, "a model's name: letters, digits, - and _, without version", str))
]
ScalarText = Annotated[str, BeforeValidator(scalar_text)]
Expression = Annotated[str, BeforeValidator(_expression)]
Count = Annotated[int, Field(strict=True, ge=1)]
OwnPort = Annotated[int, Field(strict=True, ge=PORT_MIN, le=PORT_MAX)]
CountOrNone = Annotated[int, Field(strict=True, ge=0)]
Factor = Annotated[float, Field(strict=True, ge=0)]
