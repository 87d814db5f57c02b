"""Whether a new version may go on: a verdict from what it answered beside the old one, and from alarms.

Both versions are looked at over the same time, so that whatever befalls both (a failing database, a burst, clients that
send nonsense) is not blamed on the new one. There are two such times: the present step and its last minute. The step
gathers enough where few requests come; the minute sees what begins late in a long step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.domain.names import name_key
from modelyard.domain.strategies import Guard

WINDOW_SECONDS = 60.0
"""The shorter of the two times."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one version answered over some time."""

    answers: int = 0
    errors: int = 0
    """Answers with a status from 500, and 424, which is what clients of SageMaker's get instead."""
    latency_seconds: float | None = None
    """Within which 90 % of its answers were given; None where there were none."""

    @property
    def error_rate(self) -> float:
        return self.errors / self.answers if self.answers else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known besides replicas, at one moment."""

    step: Mapping[int, Tally] = field(default_factory=dict[int, Tally])
    """By version, since the present step began."""
    recent: Mapping[int, Tally] = field(default_factory=dict[int, Tally])
    """By version, over the last `WINDOW_SECONDS` of it."""
    firing: frozenset[str] = frozenset()
    """Names of alarms that fire now."""


def judge(guard: Guard, old: int, new: int, evidence: Evidence) -> str | None:
    """Why version `new` must go back to version `old`, as the end of a sentence; None where it may go on."""
    named = {name_key(one) for one in guard.alarms}
    fired = sorted(one for one in evidence.firing if name_key(one) in named)
    if fired:
        return f"alarm {fired[0]} fired" if len(fired) == 1 else f"alarms {', '.join(fired)} fired"
    for tallies, when in ((evidence.recent, "in the last minute"), (evidence.step, "in this step")):
        ours, theirs = tallies.get(new, Tally()), tallies.get(old, Tally())
        if ours.answers < max(1, guard.min_requests):
            continue
        reason = _errors(guard, ours, theirs) or _latency(guard, ours, theirs)
        if reason is not None:
            return f"{reason} {when}"
    return None


def _errors(guard: Guard, ours: Tally, theirs: Tally) -> str | None:
    if ours.error_rate - theirs.error_rate <= guard.error_rate:
        return None
    compared = f", of the old version's {theirs.error_rate:.1%}" if theirs.answers else ""
    return f"{ours.errors} of its {ours.answers} answers were errors ({ours.error_rate:.1%}{compared})"


def _latency(guard: Guard, ours: Tally, theirs: Tally) -> str | None:
    """Only beside an old version that answered enough itself: there is nothing else to measure by."""
    if guard.latency_factor is None or theirs.answers < max(1, guard.min_requests):
        return None
    if not ours.latency_seconds or not theirs.latency_seconds:
        return None
    if ours.latency_seconds <= guard.latency_factor * theirs.latency_seconds:
        return None
    times = ours.latency_seconds / theirs.latency_seconds
    return (
        f"its latency was {times:.1f} times the old version's"
        f" ({ours.latency_seconds * 1000:.0f} ms against {theirs.latency_seconds * 1000:.0f} ms)"
    )
