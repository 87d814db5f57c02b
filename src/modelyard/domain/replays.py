"""Replays: what a candidate answers to requests that were captured, beside what was answered then.

Answers are compared field by field where both are JSON or CSV, else byte for byte. A field is written as people find it
in an answer, `predictions[].score`: items of a list are one field, because what matters is how many requests differ in
it, not in which place.
"""

import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

REQUESTS_MAX = 10_000
REQUESTS_DEFAULT = 200
CONCURRENCY_MAX = 32
TOLERANCE = 1e-6
SAMPLES_MAX = 20
"""Requests that were answered differently and are shown."""

FIELDS_MAX = 100
"""Fields of one answer in which differences are told, and fields of the whole report."""

TEXT_LENGTH_MAX = 500
"""Characters of each text of a sample."""

COMPARED_BYTES_MAX = 1 * 2**20
"""Larger answers are compared byte by byte."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of one answer."""

    field: str
    given: str
    answered: str
    distance: float | None = None
    """By how much two numbers differ."""


@dataclass(slots=True)
class FieldReport:
    """One field, over all requests."""

    field: str
    requests: int = 0
    """That differ in it."""
    distance: float | None = None
    """Of two numbers the largest there was."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that was answered differently, its texts cut."""

    request_id: str
    input: str
    given: str
    """What was answered when it was captured."""
    answered: str
    """What the candidate answered."""
    fields: tuple[FieldDifference, ...]


@dataclass(slots=True)
class Report:
    """What a replay came to."""

    endpoint: str
    against: str
    version: int | None = None
    """Version that gave the captured answers, where one gave them all."""
    requests: int = 0
    """Sent to the candidate."""
    same: int = 0
    different: int = 0
    failed: int = 0
    """Of the different ones, those that the candidate answered with a fault, or not at all."""
    skipped: int = 0
    """Captured requests that failed then, or of which no body or answer was kept: there is nothing to compare with."""
    fields: list[FieldReport] = field(default_factory=list[FieldReport])
    """Those that differ, the most frequent first."""
    samples: list[Sample] = field(default_factory=list[Sample])
    captured_seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Time of the requests when they were captured, in their gateway: p50, p90, p99, max."""
    candidate_seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Time of the candidate's answers, as the replay saw it."""


def report_document(report: Report) -> dict[str, Any]:
    return asdict(report)


def report_from(document: Mapping[str, Any]) -> Report:
    """The inverse of `report_document`, tolerant of keys that a later version added."""
    fields: dict[str, Any] = {key: document[key] for key in Report.__dataclass_fields__ if key in document}
    fields["fields"] = [FieldReport(**one) for one in fields.get("fields", ())]
    fields["samples"] = [_sample_from(one) for one in fields.get("samples", ())]
    return Report(**fields)


def _sample_from(document: Mapping[str, Any]) -> Sample:
    fields = dict(document)
    fields["fields"] = tuple(FieldDifference(**one) for one in document["fields"])
    return Sample(**fields)


class Tally:
    """Gathers a report, request by request."""

    def __init__(self, endpoint: str, against: str, tolerance: float, ignored: Collection[str]) -> None:
        self.report = Report(endpoint, against)
        self._tolerance = tolerance
        self._ignored = frozenset(ignored)
        self._fields: dict[str, FieldReport] = {}
        self._versions: set[int] = set()
        self._captured: list[float] = []
        self._candidate: list[float] = []

    def skip(self) -> None:
        self.report.skipped += 1

    def add(
        self, record: Mapping[str, Any], sent: bytes, given: Answer, answered: Answer | None, seconds: float
    ) -> None:
        """One captured request, what was answered to it then, and what the candidate answered; None for nothing."""
        report = self.report
        report.requests += 1
        self._versions.add(int(record["version"]))
        self._captured.append(float(record["seconds"]))
        if answered is None or answered.status >= 500 > given.status:
            report.failed += 1
        if answered is not None:
            self._candidate.append(seconds)
        found = differences(given, answered, self._tolerance, self._ignored)
        if not found:
            report.same += 1
            return
        report.different += 1
        for name in {one.field for one in found}:
            self._count(name, [one.distance for one in found if one.field == name and one.distance is not None])
        if len(report.samples) < SAMPLES_MAX:
            texts = (_text(one) for one in (sent, given.body, b"" if answered is None else answered.body))
            report.samples.append(Sample(str(record["id"]), *texts, fields=tuple(found)))

    def finish(self) -> Report:
        report = self.report
        report.version = self._versions.pop() if len(self._versions) == 1 else None
        report.fields = sorted(self._fields.values(), key=lambda one: (-one.requests, one.field))
        report.captured_seconds = quantiles(self._captured)
        report.candidate_seconds = quantiles(self._candidate)
        return report

    def _count(self, name: str, distances: Sequence[float]) -> None:
        if name not in self._fields and len(self._fields) >= FIELDS_MAX:
            return
        found = self._fields.setdefault(name, FieldReport(name))
        found.requests += 1
        found.distance = max([*distances, *([found.distance] if found.distance is not None else [])], default=None)


def differences(
    given: Answer, answered: Answer | None, tolerance: float, ignored: Collection[str] = ()
) -> list[FieldDifference]:
    """In which fields two answers differ; numbers that are no further apart than a relative `tolerance` do not.
    `ignored` are fields that do not count, with all that is in them. Nothing where the answers say the same."""
    if answered is None:
        return [FieldDifference("answer", str(given.status), "none")]
    if given.status != answered.status:
        return [FieldDifference("status", str(given.status), str(answered.status))]
    if given.body == answered.body:
        return []
    values = [_value(one) for one in (given, answered)]
    if values[0] is None or values[1] is None:
        return [FieldDifference("body", _text(given.body), _text(answered.body))]
    found: list[FieldDifference] = []
    for one in _walk("", values[0][0], values[1][0], tolerance):
        if not any(one.field == name or one.field.startswith((f"{name}.", f"{name}[")) for name in ignored):
            found.append(one)
        if len(found) >= FIELDS_MAX:
            break
    return found


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest, by nearest rank; empty where there is none."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {name: ordered[max(0, math.ceil(share * len(ordered)) - 1)] for name, share in QUANTILES.items()}


def _value(answer: Answer) -> tuple[Any] | None:
    """What an answer says, in a tuple; None where only its bytes can be compared."""
    kind = answer.content_type.partition(";")[0].strip().lower()
    if len(answer.body) > COMPARED_BYTES_MAX:
        return None
    try:
        if kind == "text/csv":
            return (_table(answer.body.decode()),)
        return (json.loads(answer.body),)
    except (ValueError, RecursionError, csv.Error):
        return None


def _table(text: str) -> list[dict[str, Any]]:
    """Rows of CSV, their cells by column from 1."""
    rows = csv.reader(io.StringIO(text))
    return [{f"column {place}": _cell(cell) for place, cell in enumerate(row, 1)} for row in rows]


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _walk(place: str, one: Any, two: Any, tolerance: float) -> Iterator[FieldDifference]:
    if _is_number(one) and _is_number(two):
        if not _is_close(one, two, tolerance):
            yield FieldDifference(place or "answer", _shown(one), _shown(two), _distance(one, two))
    elif _is_map(one) and _is_map(two):
        yield from _walk_maps(place, one, two, tolerance)
    elif _is_list(one) and _is_list(two):
        yield from _walk_lists(place, one, two, tolerance)
    elif type(one) is not type(two) or one != two:
        yield FieldDifference(place or "answer", _shown(one), _shown(two))


def _walk_maps(
    place: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], tolerance: float
) -> Iterator[FieldDifference]:
    for key in sorted(ours.keys() | theirs.keys()):
        inner = f"{place}.{key}" if place else key
        if key in ours and key in theirs:
            yield from _walk(inner, ours[key], theirs[key], tolerance)
        else:
            given, answered = (_shown(side[key]) if key in side else "nothing" for side in (ours, theirs))
            yield FieldDifference(inner, given, answered)


def _walk_lists(place: str, mine: Sequence[Any], others: Sequence[Any], tolerance: float) -> Iterator[FieldDifference]:
    if len(mine) != len(others):
        yield FieldDifference(place or "answer", f"{len(mine)} items", f"{len(others)} items")
        return
    for first, second in zip(mine, others, strict=True):
        yield from _walk(f"{place}[]", first, second, tolerance)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _distance(one: float, two: float) -> float | None:
    """None where it is no number that JSON knows."""
    distance = abs(one - two)
    return distance if isinstance(distance, int) or math.isfinite(distance) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_close(one: float, two: float, tolerance: float) -> bool:
    try:
        return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(one) and math.isnan(two))
    except OverflowError:
        # Whole numbers of any length are JSON.
        return one == two


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:TEXT_LENGTH_MAX]


def _text(body: bytes) -> str:
    return body[: TEXT_LENGTH_MAX * 4].decode("utf-8", "replace")[:TEXT_LENGTH_MAX]
