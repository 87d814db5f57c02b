"""`schedule:` of any kind: as written -> the document that the yard keeps."""

from typing import Any

from modelyard.domain.schedules import timing_from
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem
from modelyard.manifest.cron import CronTimes
from modelyard.manifest.document import Document
from modelyard.manifest.schema import ScheduleFields


def read_schedule(document: Document, index: int, label: str, fields: ScheduleFields | None) -> dict[str, Any] | None:
    """None where there is none, or where the document got a problem: an expression that is none, an unknown zone."""
    if fields is None:
        return None
    timing = timing_from(fields.model_dump())
    try:
        CronTimes(timing)
    except InvalidValue as error:
        add_problem(document, index, label, ("schedule",), f"{error.message}; {error.hint}")
        return None
    return timing.document
