"""The first page: what runs, and what is wrong."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from modelyard.sdk.client import Client
from modelyard.sdk.views import EndpointView, ModelView, ProcessView, RunView

RUNS_SHOWN = 20
EVENTS_SHOWN = 30
RECENT_SECONDS = 86400.0
"""A run that failed longer ago is history, not something to look after now."""

_WRONG_STATES = ("error", "error (out of memory)", "compute unavailable")
_WRONG_STATUSES = ("Failed", "Lost")

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def overview(client: Client, now: float) -> dict[str, Any]:
    """Everything that the page's template shows."""
    status = client.status()
    endpoints = client.endpoints()
    runs = client.runs(limit=RUNS_SHOWN)
    return {
        "status": status,
        "wrong": what_is_wrong(endpoints, runs, status["processes"], now),
        "endpoints": endpoints,
        "runs": runs,
        "models": client.models(),
        "events": client.events(limit=EVENTS_SHOWN),
        "ago": partial(ago, now=now),
        "metric": best_metric,
        "size": size,
        "first_line": first_line,
    }


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that somebody should look after."""

    what: str
    why: str

    @property
    def headline(self) -> str:
        """Its first line and, of a traceback, its last, which has the exception."""
        lines = self.why.strip().splitlines()
        return lines[0] if len(lines) == 1 else f"{lines[0]}: {lines[-1].strip()}"

    @property
    def detail(self) -> str | None:
        """All of it, where that is more than the headline."""
        return self.why if "\n" in self.why.strip() else None


def what_is_wrong(
    endpoints: list[EndpointView], runs: list[RunView], processes: list[ProcessView], now: float
) -> list[Wrong]:
    """The gravest first."""
    wrong = [
        Wrong(f"process {one['name']}", "it does not run; the supervisor starts it again")
        for one in processes
        if not one["alive"]
    ]
    wrong += [
        Wrong(f"endpoint {one['name']}", f"{one['state']}: {one['sentence']}")
        for one in endpoints
        if one["state"] in _WRONG_STATES
    ]
    wrong += [
        Wrong(f"run {one['id']}", f"{one['status']}: {one['failure_reason'] or 'no reason was recorded'}")
        for one in runs
        if one["status"] in _WRONG_STATUSES and now - _seconds(one["ended_at"] or one["created_at"]) < RECENT_SECONDS
    ]
    return wrong


def ago(moment: str | None, now: float) -> str:
    """`3 min ago`, for a time as the interface gives it."""
    if moment is None:
        return ""
    passed = now - _seconds(moment)
    for seconds, unit in _UNITS:
        if passed >= seconds:
            return f"{int(passed // seconds)} {unit} ago"
    return "now"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def best_metric(run: RunView) -> str:
    """The one metric that a table has room for: of the validation where there is one."""
    names = sorted(run["metrics"], key=lambda name: (not name.startswith("validation"), name))
    return f"{names[0]} {run['metrics'][names[0]]:.4g}" if names else ""


def first_line(text: str) -> str:
    return text.partition("\n")[0]


def size(model: ModelView) -> str:
    """`1.2 MB`."""
    amount = float(model["size_bytes"])
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
