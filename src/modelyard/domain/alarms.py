"""Alarms: a metric of an endpoint against a threshold, judged over several periods, and what follows.

The last `periods` periods are looked at. An alarm goes off where `datapoints` of them breach the threshold, and is over
where so many do not that no more than that could (CloudWatch's M of N): between the two it stays as it is, which keeps
a value that wavers about its threshold from calling out each time. A period in which nothing was measured counts as
`missing` says.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelyard.domain.endpoints import Cause, Endpoint
from modelyard.domain.metrics import RESOLUTIONS, MetricRecord, Span, metric_named
from modelyard.errors import InvalidValue

PERIODS_MAX = 100
PERIOD_SECONDS_MIN = float(RESOLUTIONS[0][0])
WATCHED_SECONDS_MAX = 86400.0
"""Periods times their length: CloudWatch's limit for short periods."""

WEBHOOKS_MAX = 5
ADDRESSES_MAX = 20

ROLLBACK_WITHIN_SECONDS = 3600.0
"""A version that has served for longer is not rolled back by default: whatever is wrong now, the last deploy hardly
is."""


class AlarmState(StrEnum):
    """CloudWatch's words."""

    OK = "ok"
    ALARM = "alarm"
    INSUFFICIENT_DATA = "insufficient_data"  # too little was measured to tell


class Comparison(StrEnum):
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


COMPARISONS_OF_CLOUDWATCH = {
    "GreaterThanThreshold": Comparison.ABOVE,
    "GreaterThanOrEqualToThreshold": Comparison.AT_LEAST,
    "LessThanThreshold": Comparison.BELOW,
    "LessThanOrEqualToThreshold": Comparison.AT_MOST,
}


class Missing(StrEnum):
    """What a period counts as in which nothing was measured."""

    MISSING = "missing"  # as nothing; where all are missing, the alarm knows too little
    IGNORE = "ignore"  # as nothing; where all are missing, the alarm stays as it is
    BREACHING = "breaching"
    NOT_BREACHING = "not_breaching"


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    secret: str | None = None
    """Name of the secret that deliveries are signed with."""


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    endpoint: str
    metric: str
    """A name of `domain.metrics.METRICS`."""
    comparison: Comparison
    threshold: float
    period_seconds: float = 60.0
    periods: int = 1
    """How many are looked at: CloudWatch's N."""
    datapoints: int = 1
    """How many of them must breach: M."""
    missing: Missing = Missing.MISSING
    version: int | None = None
    """One version alone; None takes all together."""
    rollback: bool = False
    """Goes back to the version before, if the present one has come within `rollback_within_seconds`."""
    rollback_within_seconds: float = ROLLBACK_WITHIN_SECONDS
    webhooks: tuple[Webhook, ...] = ()
    addresses: tuple[str, ...] = ()
    """Where mail goes."""
    notify: tuple[AlarmState, ...] = (AlarmState.ALARM, AlarmState.OK)
    """States that webhooks and mail tell of when they are entered."""

    @property
    def condition(self) -> str:
        """`error_rate of price > 0.05`."""
        version = f" version {self.version}" if self.version is not None else ""
        return f"{self.metric} of {self.endpoint}{version} {self.comparison.value} {self.threshold:g}"


def alarm_spec_from(document: Mapping[str, Any]) -> AlarmSpec:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields = {name: document[name] for name in AlarmSpec.__dataclass_fields__ if name in document}
    fields["comparison"] = Comparison(fields["comparison"])
    fields["missing"] = Missing(fields.get("missing", Missing.MISSING))
    fields["webhooks"] = tuple(Webhook(one["url"], one.get("secret")) for one in fields.get("webhooks", ()))
    fields["addresses"] = tuple(fields.get("addresses", ()))
    fields["notify"] = tuple(AlarmState(one) for one in fields.get("notify", AlarmSpec.notify))
    return AlarmSpec(**fields)


def check_alarm(spec: AlarmSpec) -> None:
    """Raises InvalidValue for what contradicts itself."""
    metric_named(spec.metric)
    if not spec.period_seconds >= PERIOD_SECONDS_MIN or spec.period_seconds % PERIOD_SECONDS_MIN:
        raise InvalidValue(
            f"cannot judge periods of {spec.period_seconds:g} s: metrics are kept in steps of {PERIOD_SECONDS_MIN:g} s",
            f"write a multiple of {PERIOD_SECONDS_MIN:g}s",
        )
    if not 1 <= spec.datapoints <= spec.periods <= PERIODS_MAX:
        raise InvalidValue(
            f"cannot wait for {spec.datapoints} of {spec.periods} periods", "datapoints: 1 to periods; periods: to 100"
        )
    if spec.periods * spec.period_seconds > WATCHED_SECONDS_MAX:
        raise InvalidValue(
            f"cannot look at {spec.periods} periods of {spec.period_seconds:g} s: they are more than a day",
            "take fewer or shorter periods",
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    state: AlarmState
    sentence: str
    value: float | None
    """The newest that was measured."""


def judge(spec: AlarmSpec, values: Sequence[float | None], present: AlarmState) -> Verdict:
    """What an alarm makes of the last periods, oldest first; None where nothing was measured."""
    assert len(values) == spec.periods
    measured = [value for value in values if value is not None]
    breaching = sum(breaches(spec, value) for value in measured)
    passing = len(measured) - breaching
    absent = len(values) - len(measured)
    if spec.missing is Missing.BREACHING:
        breaching += absent
    elif spec.missing is Missing.NOT_BREACHING:
        passing += absent
    state = _state(spec, breaching, passing, present)
    return Verdict(state, _sentence(spec, state, values, breaching), measured[-1] if measured else None)


def values_of(spec: AlarmSpec, records: Iterable[MetricRecord], now: float, born_at: float) -> list[float | None]:
    """What was measured in each of the last periods, oldest first. Nothing was before `born_at`, when there was nothing
    to measure or nobody to judge it."""
    metric, seconds = metric_named(spec.metric), spec.period_seconds
    spans: dict[int, Span] = {}
    for record in records:
        # The newest period is number 0 and ends now.
        spans.setdefault(math.floor((now - record.at) / seconds), Span()).add(record)
    found: list[float | None] = []
    for number in reversed(range(spec.periods)):
        end = now - number * seconds
        if number in spans:
            found.append(metric.read(spans[number].point(end, seconds)))
        else:
            found.append(0.0 if metric.zero_when_silent and end - seconds >= born_at else None)
    return found


def breaches(spec: AlarmSpec, value: float) -> bool:
    match spec.comparison:
        case Comparison.ABOVE:
            return value > spec.threshold
        case Comparison.AT_LEAST:
            return value >= spec.threshold
        case Comparison.BELOW:
            return value < spec.threshold
        case Comparison.AT_MOST:
            return value <= spec.threshold


def _state(spec: AlarmSpec, breaching: int, passing: int, present: AlarmState) -> AlarmState:
    if breaching >= spec.datapoints:
        return AlarmState.ALARM
    if passing > spec.periods - spec.datapoints:
        # Whatever the missing ones were, they could not make enough.
        return AlarmState.OK
    if breaching + passing == 0:
        return present if spec.missing is Missing.IGNORE else AlarmState.INSUFFICIENT_DATA
    if present is AlarmState.INSUFFICIENT_DATA and not breaching:
        return AlarmState.OK
    return present


def _sentence(spec: AlarmSpec, state: AlarmState, values: Sequence[float | None], breaching: int) -> str:
    last = f"the last {spec.periods} periods" if spec.periods > 1 else "the last period"
    over = f"{last} of {_length(spec.period_seconds)}"
    measured = [value for value in values if value is not None]
    if state is AlarmState.INSUFFICIENT_DATA:
        return f"too little was measured in {over} to tell whether {spec.condition}"
    if not measured:
        return f"{spec.condition}: nothing was measured in {over}, which counts as {spec.missing.value}"
    worst = max(measured) if spec.comparison in (Comparison.ABOVE, Comparison.AT_LEAST) else min(measured)
    told = f"{worst:.4g} at {'most' if worst == max(measured) else 'least'}"
    return f"{spec.condition} in {breaching} of {over}; {told}"


def _length(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def why_not_rolled_back(endpoint: Endpoint, spec: AlarmSpec, now: float) -> str | None:
    """Why an alarm that has gone off does not roll its endpoint back; None where it does."""
    wished = endpoint.wished
    age = now - wished.created_at
    if endpoint.deleting:
        return "it is being deleted"
    if wished.origin.cause is Cause.ROLLBACK:
        return f"version {wished.number} is a rollback itself"
    if age > spec.rollback_within_seconds:
        return f"version {wished.number} has been there for more than {_length(spec.rollback_within_seconds)}"
    if endpoint.fallback is None:
        return "no earlier version was ready"
    return None


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """The state that an alarm came into."""

    alarm: str
    endpoint: str
    state: AlarmState
    at: float
    sentence: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that somebody is to get. Written down before it is sent, so that it is sent whoever dies."""

    id: str
    alarm: str
    target: str
    """A URL, or `mailto:` and an address."""
    secret: str | None
    """Name of the secret that it is signed with."""
    body: str
    """JSON."""
    created_at: float
    attempts: int = 0
    due_at: float | None = None
    """When to try next; None where it is over."""
    outcome: str | None = None
    """What came of the last attempt."""


def message_body(
    change: AlarmChange, before: AlarmState | None, spec: AlarmSpec, project: str, kind: str | None = None
) -> str:
    """What a receiver is told, as JSON."""
    document = {
        "type": kind or f"alarm.{change.state.value}",
        "alarm": change.alarm,
        "project": project,
        "endpoint": change.endpoint,
        "state": change.state.value,
        "before": before.value if before is not None else None,
        "at": change.at,
        "sentence": change.sentence,
        "condition": spec.condition,
        "metric": spec.metric,
        "threshold": spec.threshold,
        "value": change.value,
    }
    return json.dumps(document, ensure_ascii=False)


def messages_of(change: AlarmChange, spec: AlarmSpec, body: str, new_id: Callable[[], str]) -> list[Delivery]:
    """One for each webhook and each address, due at once."""
    targets = [(one.url, one.secret) for one in spec.webhooks]
    targets += [(f"mailto:{address}", None) for address in spec.addresses]
    return [
        Delivery(new_id(), change.alarm, target, secret, body, change.at, due_at=change.at)
        for target, secret in targets
    ]
