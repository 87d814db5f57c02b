"""JSON Schema at the gate: bodies are checked before anything behind the gateway hears of them.

The library is imported with the first schema that is used; it fetches nothing, so that a schema cannot make the gateway
ask other servers.
"""

from typing import Any

from modelyard.errors import InvalidValue

SAID_LENGTH_MAX = 300
"""Characters of what is told of a body's fault."""


class Validator:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def refusal(self, value: Any) -> str | None:
        """What is wrong first, with its place; None where nothing is."""
        error = next(iter(self._inner.iter_errors(value)), None)
        if error is None:
            return None
        place = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.instance_path)
        return f"{place.removeprefix('.') or 'the body'}: {error.message}"[:SAID_LENGTH_MAX]


def compile_schema(schema: dict[str, Any]) -> Validator:
    """Raises InvalidValue for what is no schema, or refers to one elsewhere."""
    import jsonschema_rs  # noqa: PLC0415 (most yards validate nothing)

    def refuse(uri: str) -> Any:
        raise ValueError(f"{uri} is elsewhere, and nothing is fetched")

    try:
        return Validator(jsonschema_rs.validator_for(schema, retriever=refuse))
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        said = str(error).partition("\n")[0][:SAID_LENGTH_MAX]
        raise InvalidValue(f"cannot use the schema: {said}", "write a JSON Schema, whole") from error
