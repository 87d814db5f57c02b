"""The first page: what is wrong, what runs, what is idle and since when, what holds the memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.console.formats import seconds_of
from modelyard.console.places import place_of
from modelyard.console.visits import Page, Visit
from modelyard.protocol.views import HeadlineView
from modelyard.sdk.alarms import AlarmView
from modelyard.sdk.client import Client
from modelyard.sdk.views import ProcessView, RunView

RUNS_SHOWN = 10
EVENTS_SHOWN = 15
WRONG_SHOWN = 20
IDLE_SHOWN = 8
LIVE_SHOWN = 12

IDLE_SECONDS = 3600.0
"""Without a request for so long, an endpoint is idle."""

RECENT_SECONDS = 86400.0
"""A run that failed longer ago is history, not something to look after now."""

_WRONG_STATUSES = ("Failed", "Lost")


def overview(client: Client, visit: Visit) -> dict[str, Any]:
    """Everything that the page's template shows; it grows with nothing that there may be thousands of."""
    status = client.status()
    served = client.overview(idle_seconds=IDLE_SECONDS, limit=WRONG_SHOWN)
    runs = client.runs(limit=RUNS_SHOWN)
    alarms = [one for one in client.alarms() if one["state"] == "alarm"]
    wrong = what_is_wrong(served.wrong, runs, alarms, status["processes"], visit.now)
    return {
        "status": status,
        "wrong": wrong[:WRONG_SHOWN],
        "wrong_more": max(0, len(wrong) + served.wrong_count - len(served.wrong) - WRONG_SHOWN),
        "served": served,
        "asked": served.asked[:LIVE_SHOWN],
        "idle": served.idle[:IDLE_SHOWN],
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
        said, last = lines[0], lines[-1].strip()
        return said if said.endswith(last) else f"{said}: {last}"

    @property
    def detail(self) -> str | None:
        """All of it, where that is more than the headline."""
        return self.why if "\n" in self.why.strip() else None


def what_is_wrong(
    served: Sequence[HeadlineView],
    runs: Sequence[RunView],
    alarms: Sequence[AlarmView],
    processes: Sequence[ProcessView],
    now: float,
) -> list[Wrong]:
    """The gravest first."""
    wrong = [
        Wrong(f"process {one['name']}", "it does not run; the supervisor starts it again")
        for one in processes
        if not one["alive"]
    ]
    wrong += [
        Wrong(f"{one.kind} {one.name}", f"{one.state}: {one.sentence}", place_of(one.kind, one.name)) for one in served
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
    return wrong + [Wrong(f"alarm {one['name']}", one["sentence"], f"/alarms/{one['name']}") for one in alarms]


def best_metric(run: RunView) -> str:
    """The one metric that a table has room for: of the validation where there is one."""
    names = sorted(run["metrics"], key=lambda name: (not name.startswith("validation"), name))
    return f"{names[0]} {run['metrics'][names[0]]:.4g}" if names else ""


PAGES = (Page("", "overview.html", overview),)
