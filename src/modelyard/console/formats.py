"""How times, sizes and states are written on pages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))

GOOD, BUSY, BAD, QUIET = "good", "busy", "bad", "quiet"

TONES = {
    # endpoints
    "live": GOOD,
    "updating": BUSY,
    "deleting": QUIET,
    "error": BAD,
    "error (out of memory)": BAD,
    "compute unavailable": BAD,
    # replicas
    "ready": GOOD,
    "starting": BUSY,
    "draining": QUIET,
    "failed": BAD,
    # versions
    "serving": GOOD,
    "new": BUSY,
    "superseded": QUIET,
    "rolled back": BAD,
    # runs, tunings, transforms
    "Completed": GOOD,
    "InProgress": BUSY,
    "Waiting": QUIET,
    "Pending": QUIET,
    "Stopping": BUSY,
    "Stopped": QUIET,
    "Failed": BAD,
    "Lost": BAD,
    # alarms
    "ok": GOOD,
    "alarm": BAD,
    "insufficient_data": QUIET,
    # approvals
    "approved": GOOD,
    "pending": QUIET,
    "rejected": BAD,
    # apps, sites, functions
    "running": GOOD,
    "asleep": QUIET,
    "idle": QUIET,
    "stopped": QUIET,
}


def tone(state: str) -> str:
    """The colour of a state: good, busy, bad, or quiet for what needs nobody."""
    return TONES.get(state, QUIET)


def ago(moment: str | None, now: float) -> str:
    """`3 min ago`, for a time as the interface gives it."""
    if moment is None:
        return ""
    passed = now - seconds_of(moment)
    return f"{duration(passed)} ago" if passed >= 1 else "now"


def until(moment: str | None, now: float) -> str:
    """`in 3 h`, or `over`."""
    if moment is None:
        return ""
    left = seconds_of(moment) - now
    return f"in {duration(left)}" if left >= 1 else "over"


def seconds_of(moment: str) -> float:
    """Since the epoch."""
    return datetime.fromisoformat(moment).timestamp()


def duration(seconds: float) -> str:
    """In its largest unit: `3 min`."""
    for unit_seconds, unit in _UNITS:
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return "0 s"


def took(began: str, ended: str | None, now: float) -> str:
    """How long something ran, or has been running."""
    return duration((seconds_of(ended) if ended else now) - seconds_of(began))


def size(amount_bytes: float | None) -> str:
    """`1.2 MB`."""
    if amount_bytes is None:
        return ""
    amount = float(amount_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def seconds_text(seconds: float | None) -> str:
    """A time of a request: `4.2 ms`."""
    if seconds is None:
        return ""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{number(seconds * 1000)} ms" if seconds < 1 else f"{number(seconds)} s"


def number(value: float | None) -> str:
    """Three figures that count, without a power of ten where it can be: `0.0312`, `12.4`, `1 204`."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    amount = abs(value)
    if amount >= 1e9 or amount < 1e-4:
        return f"{value:.3g}"
    if amount >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{number(share * 100)} %"


def policy_text(document: Mapping[str, Any] | None) -> str:
    """Who may come in, as `domain.access.Policy` has it."""
    if document is None:
        return "everybody on this machine; elsewhere whoever has a key to it"
    groups = ", ".join(document["groups"])
    words = {
        "public": "everybody",
        "key": "whoever has a key to it",
        "login": "whoever has signed in",
        "groups": f"people of {groups}",
    }
    addresses = f", from {', '.join(document['addresses'])}" if document.get("addresses") else ""
    return words[document["way"]] + addresses


def first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def clock_time(seconds: float, *, with_day: bool = False) -> str:
    """`14:05`, in UTC as every time of the yard is."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%d %b %H:%M" if with_day else "%H:%M")
