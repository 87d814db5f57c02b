"""Environment variables that a request names."""

import re
from collections.abc import Mapping

from modelyard.errors import InvalidValue

VARIABLES_MAX = 100
VALUE_LENGTH_MAX = 32_768

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")


def check_environment(variables: Mapping[str, str]) -> None:
    """Raises InvalidValue for what no process could be given. Values are never shown: they may be secrets."""
    if len(variables) > VARIABLES_MAX:
        raise InvalidValue(f"cannot use {len(variables)} environment variables: the limit is {VARIABLES_MAX}")
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f"cannot use environment variable {name[:40]!r}",
                "use letters, digits and _, not beginning with a digit",
            )
        if "\0" in value or len(value) > VALUE_LENGTH_MAX:
            raise InvalidValue(f"cannot use environment variable {name}: its value has NUL, or is too long")
