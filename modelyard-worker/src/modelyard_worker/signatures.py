"""What a predictor's methods ask for: looked up once, when the class is loaded."""

import inspect
import typing
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

CLASS_METHODS = ("predict", "handle_batch", "handle_post")
"""What answers one request, the first that a class has; the last two are those of Cortex's later versions."""


class CannotServe(Exception):  # noqa: N818 (reads as what happened, like the rest of the project's tree)
    """The package holds nothing that can be served as it is; the message names the file and the remedy."""


class Asked(NamedTuple):
    """Names that a callable takes, of those that can be given, each with the parameter that takes it."""

    parameters: Dict[str, str]
    """What can be given -> the parameter's own name."""
    hints: Dict[str, Any]
    """What can be given -> the parameter's type hint, where there is one."""


def asked_by(function: Callable[..., Any], offered: Sequence[str], where: str) -> Asked:
    """Which of `offered` a callable takes, by its parameters' names.

    The first parameter of another name takes the first thing offered, if nothing else does: `predict(self, data)` gets
    the payload. Raises CannotServe where it demands something that is not offered.
    """
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    taken = {one.name: one.name for one in parameters if one.name in offered}
    unknown = [one for one in parameters if one.name not in offered and one.default is one.empty]
    if unknown and offered[0] not in taken:
        taken[offered[0]] = unknown.pop(0).name
    if unknown:
        raise CannotServe(
            f"cannot call {where}: it asks for {', '.join(one.name for one in unknown)}; "
            f"it may ask for {', '.join(offered)}"
        )
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_ONLY]
    if positional:
        raise CannotServe(f"cannot call {where}: {', '.join(positional)} cannot be given by name; remove the slash")
    hints = hints_of(function)
    return Asked(taken, {what: hints[name] for what, name in taken.items() if name in hints})


def hints_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """Type hints by parameter, and by `return`; without those that cannot be evaluated."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 (hints are any code; one that cannot be evaluated says nothing about bodies)
        found: Tuple[inspect.Parameter, ...] = tuple(inspect.signature(function).parameters.values())
        return {one.name: one.annotation for one in found if not isinstance(one.annotation, str)}


def answering_method(kind: type) -> str:
    """The name of the method that answers a class's requests; empty where it has none."""
    return next((name for name in ("predict_batch", *CLASS_METHODS) if own_method(kind, name) is not None), "")


def own_method(kind: type, name: str) -> Optional[Callable[..., Any]]:
    """The method that a class or its bases define, or None; what `object` has does not count."""
    found = getattr(kind, name, None)
    return found if callable(found) and found is not getattr(object, name, None) else None
