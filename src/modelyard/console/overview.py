"""The first page: what is wrong, what runs, what is idle and since when, what holds the memory."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from modelyard.console.formats import seconds_of
from modelyard.console.visits import Page, Visit
from modelyard.sdk.client import Client
from modelyard.sdk.views import EndpointView, ProcessView, RunView

RUNS_SHOWN = 10
EVENTS_SHOWN = 15
WRONG_SHOWN = 20
IDLE_SHOWN = 8
LIVE_SHOWN = 12

IDLE_SECONDS = 3600.0
"""Without a request for so long, an endpoint is idle."""

RECENT_SECONDS = 86400.0
"""A run that failed longer ago is history, not something to look after now."""

_WRONG_STATES = ("error", "error (out of memory)", "compute unavailable")
_WRONG_STATUSES = ("Failed", "Lost")


def overview(client: Client, visit: Visit) -> dict[str, Any]:
    """Everything that the page's template shows; it grows with nothing that there may be thousands of."""
    status = client.status()
    endpoints = client.endpoints()
    runs = client.runs(limit=RUNS_SHOWN)
    wrong = what_is_wrong(endpoints, runs, status["processes"], visit.now)
    wrong += [
        Wrong(f"alarm {one['name']}", one["sentence"], f"/alarms/{one['name']}")
        for one in client.alarms()
        if one["state"] == "alarm"
    ]
    idle = idle_endpoints(endpoints, visit.now)
    return {
        "status": status,
        "wrong": wrong[:WRONG_SHOWN],
        "wrong_more": max(0, len(wrong) - WRONG_SHOWN),
        "states": Counter(one["state"] for one in endpoints).most_common(),
        "endpoints": newest_asked(endpoints)[:LIVE_SHOWN],
        "endpoint_count": len(endpoints),
        "replica_count": sum(one["ready"] for one in endpoints),
        "idle": idle[:IDLE_SHOWN],
        "idle_count": len(idle),
        "runs": runs,
        "models": client.models()[:RUNS_SHOWN],
        "events": client.events(limit=EVENTS_SHOWN),
        "memory_bytes": sum(one["pss_bytes"] or 0 for one in status["processes"]),
        "best_metric": best_metric,
    }


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that somebody should look after."""

    what: str
    why: str
    page: str | None = None
    """Where there is more to see, below `/console`."""

    @property
    def headline(self) -> str:
        """Its first line and, of a traceback, its last, which has the exception."""
        lines = self.why.strip().splitlines() or [""]
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
        Wrong(f"endpoint {one['name']}", f"{one['state']}: {one['sentence']}", f"/endpoints/{one['name']}")
        for one in endpoints
        if one["state"] in _WRONG_STATES
    ]
    wrong += [
        Wrong(
            f"run {one['id']}",
            f"{one['status']}: {one['failure_reason'] or 'no reason was recorded'}",
            f"/runs/{one['id']}",
        )
        for one in runs
        if one["status"] in _WRONG_STATUSES and now - seconds_of(one["ended_at"] or one["created_at"]) < RECENT_SECONDS
    ]
    return wrong


def idle_endpoints(endpoints: list[EndpointView], now: float) -> list[EndpointView]:
    """Those that nobody has asked for an hour and that keep replicas all the same, the longest idle first."""

    def since(one: EndpointView) -> float:
        return seconds_of(one["last_request_at"] or one["created_at"])

    found = [one for one in endpoints if one["ready"] and now - since(one) >= IDLE_SECONDS]
    return sorted(found, key=since)


def newest_asked(endpoints: list[EndpointView]) -> list[EndpointView]:
    """Those that were asked last first; those that never were, by name."""
    return sorted(endpoints, key=lambda one: -seconds_of(one["last_request_at"]) if one["last_request_at"] else 0.0)


def best_metric(run: RunView) -> str:
    """The one metric that a table has room for: of the validation where there is one."""
    names = sorted(run["metrics"], key=lambda name: (not name.startswith("validation"), name))
    return f"{names[0]} {run['metrics'][names[0]]:.4g}" if names else ""


PAGES = (Page("", "overview.html", overview),)
