"""Secrets: values that code needs and nobody else may read. Named here, kept by the store, masked in what is shown.

A secret has revisions: setting another value makes the next. What runs keeps the value that it was started with.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from modelyard.domain.names import name_key, nearest
from modelyard.errors import Conflict, InvalidValue, NotFound

VALUE_LENGTH_MAX = 32 * 2**10
"""Characters; what one environment variable may hold."""

SECRETS_MAX = 1000
"""Secrets of one yard."""

SUPERSEDED_KEPT = 5
"""Earlier values that are kept, encrypted too, so that logs which hold them are masked still."""

MASK = "***"
MASKED_LENGTH_MIN = 6
"""Shorter values are not masked: they would be found in every other word."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Secret:
    """What is known of a secret; never its value."""

    name: str
    revision: int
    """Counts up from 1 with each other value."""
    created_at: float
    updated_at: float
    """When the present value was set."""


def check_secret_name(name: str) -> str:
    """Returns a name that a secret may have. Raises InvalidValue."""
    if _NAME.fullmatch(name):
        return name
    raise InvalidValue(
        f"cannot use secret name {name[:128]!r}",
        "use letters, digits, `.`, `_` and `-`, at most 128, beginning and ending with a letter or digit",
    )


def check_secret_value(name: str, value: str) -> str:
    """Returns a value that an environment variable can hold. Raises InvalidValue, which does not show it."""
    if not value:
        raise InvalidValue(f"cannot set secret {name}: its value is empty", "`modelyard secret delete` removes it")
    if "\0" in value or len(value) > VALUE_LENGTH_MAX:
        raise InvalidValue(
            f"cannot set secret {name}: its value has a NUL, or more than {VALUE_LENGTH_MAX} characters",
            "encode it, or keep large things in files",
        )
    return value


def check_count(name: str, there: int) -> None:
    """Refuses one secret more than a yard may have."""
    if there >= SECRETS_MAX:
        raise Conflict(f"cannot set secret {name}: a yard has at most {SECRETS_MAX}", "delete one that nothing uses")


def check_references(references: Mapping[str, str], environment: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuses a variable that is given twice, and a secret that is not there, with the nearest.

    `references` are variable -> secret, `environment` plain variables, `known` the names of all secrets.
    """
    names = list(known)
    there = {name_key(name) for name in names}
    for variable, secret in references.items():
        if variable in environment:
            raise InvalidValue(f"cannot set variable {variable} twice: as a value and from secret {secret}")
        if name_key(secret) in there:
            continue
        close = nearest(secret, names)
        raise NotFound(
            f"cannot find secret {secret!r} for variable {variable}",
            f"did you mean {close}?" if close else f"set it first: `modelyard secret set {secret}`",
        )


def changed_since(references: Mapping[str, str], secrets: Iterable[Secret], started_at: float) -> list[str]:
    """Names of the secrets among `references` whose value was set after `started_at`."""
    wanted = {name_key(name) for name in references.values()}
    return [one.name for one in secrets if name_key(one.name) in wanted and one.updated_at > started_at]


class Masks:
    """Puts `***` in the place of every value, also where it stands as JSON or in a URL. A value of several lines is
    masked line by line, because logs are read so."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        # The longest first, so that a value that holds another is masked whole.
        found = sorted((form for form in forms if len(form) >= MASKED_LENGTH_MIN), key=len, reverse=True)
        self._text = re.compile("|".join(map(re.escape, found))) if found else None
        self._content = re.compile(b"|".join(re.escape(form.encode()) for form in found)) if found else None

    def text(self, text: str) -> str:
        return text if self._text is None else self._text.sub(MASK, text)

    def content(self, content: bytes) -> bytes:
        return content if self._content is None else self._content.sub(MASK.encode(), content)


def _forms(value: str) -> Iterable[str]:
    for line in {value, *value.splitlines()}:
        bare = line.strip()
        yield bare
        yield json.dumps(bare)[1:-1]
        yield quote(bare, safe="")
