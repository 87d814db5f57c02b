"""Usage plans: how often somebody may ask, as a token bucket and a quota. Pure: time is passed in."""

from dataclasses import dataclass, replace
from typing import Any

from modelyard.errors import InvalidValue

PERIOD_SECONDS = {"day": 86400.0, "week": 7 * 86400.0, "month": 30 * 86400.0}
"""A month counts as 30 days, each period from the epoch on, so that all gateways agree when one ends."""


@dataclass(frozen=True, slots=True)
class Plan:
    rate: float | None = None
    """Requests a second, in the long run; None is not bounded."""
    burst: int | None = None
    """Requests at once; by default what one second allows, and one at least."""
    quota: int | None = None
    """Requests in a period; None is not bounded."""
    per: str = "day"


def plan_from(document: dict[str, Any]) -> Plan:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added. Raises InvalidValue."""
    plan = Plan(**{name: document[name] for name in Plan.__dataclass_fields__ if name in document})
    if plan.per not in PERIOD_SECONDS:
        raise InvalidValue(f"cannot count per {plan.per!r}", f"write {', '.join(PERIOD_SECONDS)}")
    for what, value in (("rate", plan.rate), ("burst", plan.burst), ("quota", plan.quota)):
        if value is not None and value <= 0:
            raise InvalidValue(f"cannot use a {what} of {value:g}", "write more than 0, or leave it out")
    if plan.burst is not None and plan.rate is None:
        raise InvalidValue("cannot use a burst without a rate", "write both")
    return plan


@dataclass(frozen=True, slots=True)
class Usage:
    """What somebody has left. Times are wall clock."""

    tokens: float
    at: float
    """When `tokens` was right."""
    period: int = 0
    used: int = 0
    """Requests in this period."""


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    usage: Usage
    reason: str = ""
    """In API Gateway's words."""
    retry_after_seconds: float = 0.0


def begin(plan: Plan, now: float) -> Usage:
    """Somebody who has not asked yet."""
    return Usage(capacity(plan), now, period_of(plan, now))


def capacity(plan: Plan) -> float:
    """Most tokens that the bucket holds."""
    return float(plan.burst or max(1.0, plan.rate or 1.0))


def period_of(plan: Plan, now: float) -> int:
    return int(now // PERIOD_SECONDS[plan.per])


def ask(plan: Plan, usage: Usage, now: float) -> Verdict:
    """Whether one more request is allowed now, and what is left then. A refused one costs nothing."""
    usage = _refilled(plan, usage, now)
    if plan.quota is not None and usage.used >= plan.quota:
        ends_at = (usage.period + 1) * PERIOD_SECONDS[plan.per]
        return Verdict(False, usage, "Limit Exceeded", max(0.0, ends_at - now))
    if plan.rate is not None:
        if usage.tokens < 1.0:
            return Verdict(False, usage, "Too Many Requests", (1.0 - usage.tokens) / plan.rate)
        usage = replace(usage, tokens=usage.tokens - 1.0)
    return Verdict(True, replace(usage, used=usage.used + 1))


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody has used of a plan, and may still ask."""

    used: int
    """Requests in the present period."""
    left: int | None
    """Requests in what is left of it; None where there is no quota."""
    at_once: int | None
    """Requests that would be let in just now; None where nothing bounds them."""
    resets_at: float | None
    """When the quota begins anew; None where there is none."""


def standing(plan: Plan, usage: Usage | None, now: float) -> Standing:
    """`usage` is None of somebody who has not asked yet."""
    usage = _refilled(plan, usage or begin(plan, now), now)
    left = None if plan.quota is None else max(0, plan.quota - usage.used)
    bounds = [one for one in (left, None if plan.rate is None else int(usage.tokens)) if one is not None]
    return Standing(
        used=usage.used,
        left=left,
        at_once=min(bounds, default=None),
        resets_at=None if plan.quota is None else (usage.period + 1) * PERIOD_SECONDS[plan.per],
    )


def _refilled(plan: Plan, usage: Usage, now: float) -> Usage:
    """A clock that was set back gives nothing and takes nothing."""
    passed = max(0.0, now - usage.at)
    tokens = min(capacity(plan), usage.tokens + passed * (plan.rate or 0.0))
    period = max(usage.period, period_of(plan, now))
    used = usage.used if period == usage.period else 0
    return Usage(tokens, max(usage.at, now), period, used)
