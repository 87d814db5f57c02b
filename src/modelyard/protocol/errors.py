"""The one error shape: `{"error": {"code", "message", "hint", "request_id"}}`."""

from typing import Any, cast

from modelyard.errors import ModelyardError, error_types

ErrorBody = dict[str, dict[str, str | None]]


def error_body(error: ModelyardError, request_id: str) -> ErrorBody:
    """What every door of ours answers for `error`; doors of other people's protocols have their own shapes."""
    return {
        "error": {"code": error.code, "message": error.message, "hint": error.hint, "request_id": request_id},
    }


def error_from(body: Any, status: int) -> ModelyardError:
    """The error that a server answered, of the type its code names; a ModelyardError where it is not ours."""
    found = cast("dict[str, dict[str, Any]]", body).get("error") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        return ModelyardError(f"cannot understand the answer with status {status}: it is not a yard's")
    kind = error_types().get(str(found.get("code")), ModelyardError)
    hint = found.get("hint")
    return kind(str(found.get("message")), str(hint) if hint else None)
