"""`kind: alarm`: fields as written -> what a deploy wishes."""

from pathlib import Path
from typing import Any

from modelyard.domain.alarms import COMPARISONS_OF_CLOUDWATCH
from modelyard.domain.metrics import METRICS
from modelyard.domain.names import nearest
from modelyard.domain.splitters import endpoint_of_variant
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schema import AlarmFields


def read_alarm(document: Document, index: int, label: str, folder: Path) -> OtherResource | None:  # noqa: ARG001
    """None where the document got problems."""
    fields = check_fields(document, AlarmFields, index, label)
    if fields is None:
        return None
    if fields.metric not in METRICS:
        near = nearest(fields.metric, METRICS)
        sentence = f"found {fields.metric!r}; " + (f"did you mean {near}? " if near else "")
        add_problem(document, index, label, ("metric",), f"{sentence}allowed: {', '.join(METRICS)}")
        return None
    return OtherResource("alarm", fields.name, document.line((index,)), _spec(fields))


def _spec(fields: AlarmFields) -> dict[str, Any]:
    """The document as the yard checks it, without what the file leaves out."""
    actions = fields.actions
    given = {
        "endpoint": fields.endpoint if fields.variant is None else endpoint_of_variant(fields.endpoint, fields.variant),
        "metric": fields.metric,
        "comparison": COMPARISONS_OF_CLOUDWATCH.get(fields.comparison, fields.comparison),
        "threshold": float(fields.threshold),
        "period_seconds": fields.period,
        "periods": fields.periods,
        "datapoints": fields.datapoints,
        "missing": fields.missing,
        "version": fields.version,
        "rollback": actions.rollback,
        "rollback_within_seconds": actions.rollback_within,
        "webhooks": [one.model_dump(exclude_none=True) for one in actions.webhooks] or None,
        "addresses": list(actions.email) or None,
        "notify": list(actions.notify) if actions.notify is not None else None,
    }
    return {name: value for name, value in given.items() if value is not None}
