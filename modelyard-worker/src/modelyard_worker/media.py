"""Media types: what a body is, and which of several forms a caller accepts (RFC 9110, 8.3 and 12.5.1)."""

from functools import lru_cache
from typing import List, Optional, Tuple

from modelyard_worker import frames

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
TEXT = "text/plain"
BYTES = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
NPZ = "application/x-npz"
PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
LINES = "application/x-ndjson"
LINES_NAMES = (LINES, "application/jsonlines", "application/x-jsonlines", "application/jsonl")
"""JSON, one value a line: the first is what IANA's register comes closest to, the second is SageMaker's."""
EVENTS = "text/event-stream"
TENSORS = frames.TENSORS
"""Between gateway and replica: what a client of the Open Inference Protocol sent (see `tensors`)."""
PNG = "image/png"
JPEG = "image/jpeg"

_SAME = {
    **dict.fromkeys(LINES_NAMES, LINES),
    "application/parquet": PARQUET,
    "application/x-parquet": PARQUET,
    "application/x-numpy": NPY,
    "application/csv": CSV,
}
"""Other names of one thing, as clients use them."""


class _AsIs(str):
    """Not equal to what any caller can send, because it is asked for by identity."""

    __slots__ = ()


AS_IS = _AsIs("*/*")
"""As an Accept: the answer is wanted as the value that the predictor returned, not as bytes."""

CACHE_SIZE = 512
"""Different Accept headers that are remembered."""


def media_type(content_type: str) -> str:
    """The type alone, in lower case: `Text/CSV; charset=utf-8` is `text/csv`."""
    return content_type.partition(";")[0].strip().lower()


def known(content_type: str) -> str:
    """A media type under the name that is used here: `application/jsonlines` is `application/x-ndjson`."""
    return _SAME.get(content_type, content_type)


def is_json(content_type: str) -> bool:
    """Without a type, or with the one that curl gives to -d, JSON is what people mean."""
    return content_type in (JSON, FORM, "") or content_type.endswith("+json")


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
