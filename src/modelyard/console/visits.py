"""What a page is, and what somebody asks of it: the part of the path, the query, the form that was filled in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client

NUMBER_LENGTH_MAX = 18


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page."""

    now: float
    """Seconds since the epoch."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parts of the path, by name."""
    query: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    form: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Those that were sent with the form, by name."""

    def asked(self, name: str, default: str = "") -> str:
        """The first value of that name in the query, without blanks around it."""
        return next((one.strip() for one in self.query.get(name, ())), "") or default

    def typed(self, name: str) -> str:
        """What a field of the form holds, without blanks around it."""
        return next((one.strip() for one in self.form.get(name, ())), "")

    def typed_number(self, name: str, what: str) -> int:
        """Raises InvalidValue where it is no whole number above nought."""
        text = self.typed(name)
        if not (text.isascii() and text.isdecimal() and len(text) <= NUMBER_LENGTH_MAX and int(text)):
            raise InvalidValue(f"cannot read {text[:20]!r} as {what}", "use a button of the page")
        return int(text)

    def confirm(self, name: str) -> None:
        """Raises InvalidValue where the name of what is to go was not typed as it is."""
        if self.typed("confirm") != name:
            raise InvalidValue(f"cannot delete {name}: its name was not typed", f"type {name} to say that it is meant")


Content = Callable[[Client, Visit], dict[str, Any]]
"""What the template of a page shows."""

Answer = str | dict[str, Any]
"""Where to go next, below `/console`; or what the same page shows once more, for what is told only once."""

Action = Callable[[Client, Visit], Answer]
"""What a button does. Raises as the sdk does."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and what its buttons do: those are asked with `POST`, one part of the path further."""

    path: str
    """Below `/console`."""
    template: str
    content: Content
    actions: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
