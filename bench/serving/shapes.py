"""How a server wants its rows and gives its values: the same numbers, each in the words of its own protocol."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from bench.serving.cases import Rows


@dataclass(frozen=True, slots=True)
class Shape:
    write: Callable[[Rows], Any]
    """Rows -> the document that is sent."""
    read: Callable[[Any], Any]
    """The document that came -> the values, one a row. May raise KeyError, IndexError or TypeError."""

    def body(self, rows: Rows) -> bytes:
        return json.dumps(self.write(rows), separators=(",", ":")).encode()

    def values(self, body: bytes) -> list[float]:
        """Raises ValueError where the answer is not of this shape."""
        try:
            found = self.read(json.loads(body))
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"cannot read the answer {body[:200]!r}") from error
        if not isinstance(found, list):
            raise ValueError(f"cannot read the answer {body[:200]!r}")
        return [float(one) for one in cast("list[Any]", found)]


def _tensor(rows: Rows) -> Any:
    flat = [value for row in rows for value in row]
    return {"inputs": [{"name": "rows", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}]}


PLAIN = Shape(lambda rows: rows, lambda found: found)
NAMED = Shape(lambda rows: {"rows": rows}, lambda found: found)
OPEN_INFERENCE = Shape(_tensor, lambda found: found["outputs"][0]["data"])
INSTANCES = Shape(lambda rows: {"instances": rows}, lambda found: found["predictions"])
