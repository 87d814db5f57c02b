"""Media types: what a body is, and which of several forms a caller accepts (RFC 9110, 8.3 and 12.5.1)."""

from functools import lru_cache
from typing import List, Optional, Tuple

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
TEXT = "text/plain"
BYTES = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"

CACHE_SIZE = 512
"""Different Accept headers that are remembered."""


def media_type(content_type: str) -> str:
    """The type alone, in lower case: `Text/CSV; charset=utf-8` is `text/csv`."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=CACHE_SIZE)
def choose(accept: str, offered: Tuple[str, ...]) -> Optional[str]:
    """The offered type that `accept` likes best, or None where it takes none. Earlier offers win ties."""
    if not accept:
        return offered[0]
    ranges = _ranges(accept)
    best: Optional[str] = None
    best_quality = 0.0
    for kind in offered:
        quality = _quality(kind, ranges)
        if quality > best_quality:
            best, best_quality = kind, quality
    return best


def _ranges(accept: str) -> List[Tuple[str, float]]:
    found: List[Tuple[str, float]] = []
    for part in accept.split(","):
        words = part.split(";")
        quality = 1.0
        for word in words[1:]:
            name, _, value = word.strip().partition("=")
            if name.lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        found.append((words[0].strip().lower(), quality))
    return found


def _quality(kind: str, ranges: List[Tuple[str, float]]) -> float:
    # The most specific range speaks for a type, whatever the others say.
    found: List[Tuple[int, float]] = []
    for wanted, quality in ranges:
        if wanted == kind:
            found.append((2, quality))
        elif wanted.endswith("/*") and wanted != "*/*" and kind.startswith(wanted[:-1]):
            found.append((1, quality))
        elif wanted in ("*/*", "*"):
            found.append((0, quality))
    return max(found)[1] if found else 0.0
