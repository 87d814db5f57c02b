"""Cortex's `tracker`: what of each prediction is counted (`classification`) or measured (`regression`).

The replica only says what it saw, in the answer's meta; the gateway counts, so that every replica's answers add up.
"""

import sys
from typing import Any, Dict, Optional, Union, cast

from modelyard_worker.frames import ERROR, pack_meta, unpack_meta
from modelyard_worker.packages import TrackerSpec
from modelyard_worker.servable import Answer

LABEL_LENGTH_MAX = 128
"""Characters of a class's name that are kept."""


class Tracker:
    """Reads the tracked value out of predictions."""

    def __init__(self, spec: TrackerSpec) -> None:
        self._key = spec.key
        self._classifies = spec.model_type == "classification"
        self._complained = False

    def mark(self, prediction: Any, answer: Answer) -> Answer:
        """The answer with what was tracked in its meta; the answer itself where there is nothing to track."""
        flags, meta, body = answer
        if flags & ERROR or not meta:
            return answer
        value = self._read(prediction)
        if value is None:
            self._complain(prediction)
            return answer
        return flags, pack_meta({**unpack_meta(meta), "tracked": value}), body

    def _read(self, prediction: Any) -> Optional[Union[str, float]]:
        found = prediction
        if self._key is not None:
            found = cast("Dict[str, Any]", found).get(self._key) if isinstance(found, dict) else None
        if hasattr(found, "item") and getattr(found, "size", 1) == 1:
            found = cast("Any", found).item()
        if isinstance(found, (list, tuple)) and len(cast("Any", found)) == 1:
            found = cast("Any", found)[0]
        if self._classifies:
            return str(found)[:LABEL_LENGTH_MAX] if isinstance(found, (str, int)) else None
        return float(found) if isinstance(found, (int, float)) else None

    def _complain(self, prediction: Any) -> None:
        if self._complained:
            return
        self._complained = True
        where = f"key {self._key!r} of it" if self._key is not None else "it"
        wanted = "a string or an integer" if self._classifies else "a number"
        shown = type(prediction).__name__
        print(f"cannot track a prediction of type {shown}: {where} is not {wanted} (said once)", file=sys.stderr)
