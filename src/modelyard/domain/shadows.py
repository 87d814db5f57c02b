"""Whether a shadow's answer is the one that was given, and what comparing many came to."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

SAMPLES_MAX = 5
"""Differences of one rollout that are kept to look at."""

SAMPLE_LENGTH_MAX = 2000
"""Characters of each text of a sample."""

COMPARED_BYTES_MAX = 64 * 2**10
"""Larger answers are compared byte by byte: to read them would hold up who waits."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One request that was answered differently, each text cut."""

    request_id: str
    body: str
    given: str
    """What the client got."""
    shadow: str
    """What the new version would have answered."""


@dataclass(slots=True)
class Comparison:
    """Counts of one shadow, since its rollout began."""

    version: int = 0
    copied: int = 0
    dropped: int = 0
    """Copies that were not sent: the shadow was full, or the body lay in a file."""
    compared: int = 0
    different: int = 0
    """Of those that were compared."""
    failed: int = 0
    """Copies that ended in an error, while the client got an answer."""
    samples: list[Difference] = field(default_factory=list[Difference])

    def add(self, other: "Comparison") -> None:
        for name in ("copied", "dropped", "compared", "different", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.samples = [*self.samples, *other.samples][:SAMPLES_MAX]


def comparison_document(one: Comparison) -> dict[str, Any]:
    return asdict(one)


def comparison_from(document: Mapping[str, Any]) -> Comparison:
    """The inverse of `comparison_document`, tolerant of keys that a later version added. Raises KeyError or TypeError
    where it is none."""
    fields: dict[str, Any] = {key: document[key] for key in Comparison.__dataclass_fields__ if key in document}
    fields["samples"] = [Difference(**one) for one in fields.get("samples", ())][:SAMPLES_MAX]
    return Comparison(**fields)


def answers_agree(given: bytes, shadow: bytes, tolerance: float) -> bool:
    """Whether two answers say the same: byte for byte, or as JSON with numbers that differ by no more than a relative
    `tolerance`. Where either is no JSON or too large, only bytes count."""
    if given == shadow:
        return True
    if max(len(given), len(shadow)) > COMPARED_BYTES_MAX:
        return False
    try:
        return _agree(json.loads(given), json.loads(shadow), tolerance)
    except (ValueError, RecursionError):
        return False


def _agree(one: Any, two: Any, tolerance: float) -> bool:
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    if isinstance(one, int | float) and isinstance(two, int | float):
        return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(one) and math.isnan(two))
    if isinstance(one, dict) and isinstance(two, dict):
        ours, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", two)
        return ours.keys() == theirs.keys() and all(_agree(ours[key], theirs[key], tolerance) for key in ours)
    if isinstance(one, list) and isinstance(two, list):
        mine, others = cast("list[Any]", one), cast("list[Any]", two)
        return len(mine) == len(others) and all(
            _agree(first, second, tolerance) for first, second in zip(mine, others, strict=True)
        )
    return bool(one == two)


def sample_text(body: bytes) -> str:
    """What of a body is shown."""
    return body[: SAMPLE_LENGTH_MAX * 4].decode("utf-8", "replace")[:SAMPLE_LENGTH_MAX]
