"""Jobs beside trainings: transforms and tunings with how far they are, and what the clock starts."""

from typing import Any

from modelyard.console.charts import Series, step_chart
from modelyard.console.coordinates import Row, coordinates
from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client

JOBS_SHOWN = 50
LINES_SHOWN = 200


def job_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    schedules = sorted(client.schedules(), key=lambda one: (one.next_at is None, one.next_at))
    return {
        "transforms": client.transforms(limit=JOBS_SHOWN),
        "tunings": client.tunings(limit=JOBS_SHOWN),
        "schedules": schedules[:JOBS_SHOWN],
        "more_schedules": max(0, len(schedules) - JOBS_SHOWN),
    }


def transform_page(client: Client, visit: Visit) -> dict[str, Any]:
    transform = client.get_transform(visit.names["transform"])
    return {
        "transform": transform,
        "lines": list(client.transform_logs(transform.id, lines=LINES_SHOWN)),
        "ended": transform.ended_at is not None,
    }


def stop_transform(client: Client, visit: Visit) -> Answer:
    client.stop_transform(visit.names["transform"])
    return f"/jobs/transforms/{visit.names['transform']}"


def tuning_page(client: Client, visit: Visit) -> dict[str, Any]:
    tuning = client.tuning(visit.names["tuning"])
    trials = tuning.trials
    rows = [Row(one.run, one.hyperparameters, one.value) for one in trials]
    values = [(float(number), trial.value) for number, trial in enumerate(trials, 1)]
    best: list[tuple[float, float | None]] = []
    for number, value in values:
        known = [one for one in (value, best[-1][1] if best else None) if one is not None]
        best.append((number, (min(known) if tuning.minimize else max(known)) if known else None))
    return {
        "tuning": tuning,
        "chart_of": step_chart(
            f"{tuning.metric} by trial", [Series("trial", values), Series("best so far", best, stepped=True)]
        ),
        "coordinates": coordinates(rows, tuning.metric, minimize=tuning.minimize),
        "names": sorted({name for one in trials for name in one.hyperparameters}),
        "ended": tuning.ended_at is not None,
    }


def stop_tuning(client: Client, visit: Visit) -> Answer:
    client.stop_tuning(visit.names["tuning"])
    return f"/jobs/tunings/{visit.names['tuning']}"


PAGES = (
    Page("/jobs", "jobs.html", job_list),
    Page("/jobs/transforms/{transform}", "transform.html", transform_page, {"stop": stop_transform}),
    Page("/jobs/tunings/{tuning}", "tuning.html", tuning_page, {"stop": stop_tuning}),
)
