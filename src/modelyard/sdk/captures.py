"""Captured requests: what the API says of them, and SageMaker's layout of them in files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from modelyard.domain.captures import sagemaker_line, sagemaker_path


class DayView(TypedDict):
    version: int
    day: str
    files: int
    size_bytes: int


class CapturesView(TypedDict):
    name: str
    capture: dict[str, Any] | None
    """Fields of `domain.captures.Capture`; None where nothing is captured now."""
    days: list[DayView]
    """Newest first, in UTC."""


def export_sagemaker(records: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, int]:
    """Writes records as SageMaker's data capture lays them out, `ENDPOINT/vVERSION/yyyy/mm/dd/hh/captures.jsonl`, in
    place of what an earlier export left there; returns how many are in each file."""
    counts: dict[str, int] = {}
    for record in records:
        place = f"{sagemaker_path(record)}/captures.jsonl"
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if place in counts else "w", encoding="utf-8") as file:
            file.write(json.dumps(sagemaker_line(record), ensure_ascii=False) + "\n")
        counts[place] = counts.get(place, 0) + 1
    return counts
