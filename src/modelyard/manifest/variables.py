"""Environment variables of a yard file: `NAME: value`, or `NAME: {secret: SECRET}` for a value that no file holds."""

from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from pydantic import BeforeValidator

from modelyard.domain.secrets import check_secret_name
from modelyard.errors import InvalidValue
from modelyard.manifest.values import refuse, scalar_text

_ALLOWED = "a map of variables, NAME: value or NAME: {secret: SECRET}"


@dataclass(frozen=True, slots=True)
class Variables:
    plain: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """Variable -> name of the secret."""

    def over(self, other: "Variables | None") -> "Variables":
        """These and those of `other` that are not here."""
        if other is None:
            return self
        mine = {**self.plain, **self.secrets}
        plain = {name: value for name, value in other.plain.items() if name not in mine}
        secrets = {name: value for name, value in other.secrets.items() if name not in mine}
        return Variables({**plain, **self.plain}, {**secrets, **self.secrets})


def _variables(value: Any) -> Variables:
    if not isinstance(value, dict):
        raise refuse(_ALLOWED)
    plain: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for name, one in cast("dict[Any, Any]", value).items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise refuse(f"{_ALLOWED}; {name!r} is not a variable's name")
        if isinstance(one, dict):
            secrets[name] = _secret(name, cast("dict[Any, Any]", one))
        elif isinstance(one, str | int | float):
            plain[name] = scalar_text(one)
        else:
            raise refuse(f"{_ALLOWED}; {name} has neither")
    return Variables(plain, secrets)


def _secret(variable: str, reference: dict[Any, Any]) -> str:
    name = reference.get("secret")
    if len(reference) != 1 or not isinstance(name, str):
        raise refuse(f"{_ALLOWED}; {variable} is a map of something else")
    try:
        return check_secret_name(name)
    except InvalidValue as error:
        raise refuse(f"{_ALLOWED}; {name!r} cannot name a secret") from error


Environment = Annotated[Variables, BeforeValidator(_variables)]
