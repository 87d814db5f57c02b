"""Whom this process refused for want of a right, for the audit log: each kind told when it is first seen in a minute,
and at the minute's end how often it happened besides. So the log says at once that somebody tries, and nobody can wash
it out from outside.
"""

from dataclasses import dataclass

from modelyard.domain.audit import TEXT_LENGTH_MAX, Refusal

WINDOW_SECONDS = 60.0
KINDS_MAX = 30
"""Kinds of refusals that are told apart in one window; what comes beyond is counted together."""

MANY = "many"
"""In place of who and from where, of refusals that are counted together."""


@dataclass(frozen=True, slots=True)
class Kind:
    principal: str
    action: str
    outcome: str
    address: str


@dataclass(slots=True)
class _Seen:
    at: float
    request_id: str
    count: int = 0
    told: bool = False


class Refusals:
    """Times are wall clock."""

    def __init__(self) -> None:
        self._seen: dict[Kind, _Seen] = {}
        self._ends_at = 0.0

    def note(self, kind: Kind, request_id: str, now: float) -> None:
        if kind not in self._seen and len(self._seen) >= KINDS_MAX:
            kind = Kind(MANY, "what was asked by many", kind.outcome, MANY)
        seen = self._seen.setdefault(kind, _Seen(now, request_id))
        if seen.count == 0:
            seen.at, seen.request_id = now, request_id
        seen.count += 1

    def take(self, now: float) -> list[Refusal]:
        """What is to be told now, once."""
        ends = now >= self._ends_at
        due = [(kind, seen) for kind, seen in self._seen.items() if seen.count and (ends or not seen.told)]
        told = [_told(kind, seen) for kind, seen in due]
        for _, seen in due:
            seen.told, seen.count = True, 0
        if ends:
            # Those told just now begin the window that follows.
            self._seen = dict(due)
            self._ends_at = now + WINDOW_SECONDS
        return told


def _told(kind: Kind, seen: _Seen) -> Refusal:
    action = kind.action[:TEXT_LENGTH_MAX]
    return Refusal(seen.at, kind.principal, action, kind.outcome, kind.address, seen.request_id, seen.count)
