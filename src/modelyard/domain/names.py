"""What a resource may be called, and how a typed name finds its resource."""

import difflib
import re
from collections.abc import Iterable

from modelyard.errors import Ambiguous, InvalidValue, NotFound

RESOURCE_KINDS: tuple[str, ...] = ("alarm", "batch", "gateway", "site", "training", "traffic_splitter")
"""Kinds of `domain.resources`, as the yard file writes them: what a deploy wishes beside endpoints."""

SERVED_KINDS = ("endpoint", "app", "function")
"""Kinds that share their names: whatever serves under one of them is an endpoint to the store."""

KINDS = (*SERVED_KINDS, "tuning", "model", "run", "transform", *RESOURCE_KINDS)
"""Kinds that a verb may name before the slash: `endpoint/price`."""

NAME_LENGTH_MAX = 63
"""A DNS label (RFC 1035 2.3.4), so that every name can stand in a host name."""

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def name_key(name: str) -> str:
    """The form in which two names are compared: case does not tell them apart."""
    return name.lower()


def reference_key(reference: str) -> str:
    """The form in which two references `KIND/NAME` are compared: of what shares its names, the kind says nothing."""
    kind, _, name = reference.partition("/")
    return f"{SERVED_KINDS[0] if kind in SERVED_KINDS else kind}/{name_key(name)}"


def check_name(name: str, what: str = "name") -> str:
    """Returns `name` where it is a DNS label, and refuses it with a spelling that would do where it is not."""
    if _LABEL.fullmatch(name):
        return name
    mended = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9-]", "-", name)).strip("-")[:NAME_LENGTH_MAX].strip("-")
    hint = "use letters, digits and hyphens, at most 63, beginning and ending with a letter or digit"
    raise InvalidValue(f"cannot use {what} {name!r}: not a DNS label", f"{hint}; try {mended}" if mended else hint)


_MODEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


def check_model_name(name: str) -> str:
    """Returns `name` where a model may be called so. No host is named after a model, so `_` is allowed beside what a
    DNS label has: models come from where people like it."""
    if _MODEL.fullmatch(name):
        return name
    mended = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_-]", "-", name)).strip("-_")[:NAME_LENGTH_MAX].strip("-_")
    hint = "use letters, digits, hyphens and underscores, at most 63, beginning and ending with a letter or digit"
    raise InvalidValue(f"cannot use model name {name!r}", f"{hint}; try {mended}" if mended else hint)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known spelling closest to `word`, or None where nothing is close."""
    by_key = {name_key(one): one for one in known}
    found = difflib.get_close_matches(name_key(word), by_key, n=1, cutoff=0.6)
    return by_key[found[0]] if found else None


_LISTED_BY = {"model": "models", "run": "runs", "transform": "transforms", "tuning": "tunings"}
"""Kind -> the command that lists what there is; `get` where it has none of its own."""


def not_found(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """The refusal for a name that is not there, with the nearest of the known ones as hint."""
    close = nearest(name, known)
    listed = f"`modelyard {_LISTED_BY.get(kind, 'get')}` lists what is there"
    return NotFound(f"cannot find {kind} {name!r}", f"did you mean {close}?" if close else listed)


def parse_reference(text: str) -> tuple[str | None, str]:
    """Splits `NAME` or `KIND/NAME` into (kind or None, name)."""
    kind, slash, name = text.partition("/")
    if not slash:
        return None, text
    if kind not in KINDS:
        close = nearest(kind, KINDS)
        raise InvalidValue(
            f"cannot find {text!r}: {kind!r} is not a kind",
            f"did you mean {close}/{name}?" if close else f"kinds are {', '.join(KINDS)}",
        )
    return kind, name


def resolve(text: str, known: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Finds the (kind, name) that `text` means among `known`. Raises NotFound with the nearest, Ambiguous with all."""
    kind, name = parse_reference(text)
    listed = list(known)
    found = [one for one in listed if name_key(one[1]) == name_key(name) and kind in (None, one[0])]
    if len(found) == 1:
        return found[0]
    if found:
        candidates = " or ".join(f"{one[0]}/{one[1]}" for one in found)
        raise Ambiguous(f"cannot tell which {name!r} is meant", f"say {candidates}")
    raise not_found(kind or "anything named", name, (one[1] for one in listed if kind in (None, one[0])))
