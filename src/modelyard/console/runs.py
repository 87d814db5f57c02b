"""Training runs: a list, one with its curves and its output, several beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from modelyard.console.charts import Chart, Point, Series, step_chart
from modelyard.console.coordinates import Row, coordinates
from modelyard.console.visits import Answer, Page, Visit
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client
from modelyard.sdk.views import PointView, RunView

RUNS_SHOWN = 100
LINES_SHOWN = 200
COMPARED_MAX = 50
"""Runs beside each other."""

CURVES_MAX = 10
"""Runs whose curves are drawn; the others are still in the table and among the coordinates."""

POINTS_READ_MAX = 20_000
"""Logged values that are read of one run."""

POINTS_DRAWN_MAX = 400
"""Of one curve; of more, every second, third, ... is drawn, and always the last."""

_SMALL_IS_GOOD = ("loss", "error", "rmse", "mae", "mse", "mape", "logloss", "deviance")


def run_list(client: Client, visit: Visit) -> dict[str, Any]:
    training = visit.asked("training") or None
    runs = client.runs(training=training, limit=RUNS_SHOWN)
    return {
        "runs": runs,
        "training": training,
        "trainings": sorted({one["training"] for one in runs}),
        "metric": common_metric(runs),
        "limit": RUNS_SHOWN,
    }


def run_page(client: Client, visit: Visit) -> dict[str, Any]:
    run = client.run(visit.names["run"])
    curves = curves_of(islice(client.run_metrics(run["id"]), POINTS_READ_MAX))
    return {
        "run": run,
        "charts": [step_chart(name, [Series(name, thinned(points))]) for name, points in sorted(curves.items())],
        "lines": list(client.run_logs(run["id"], lines=LINES_SHOWN)),
        "ended": run["ended_at"] is not None,
    }


def stop_run(client: Client, visit: Visit) -> Answer:
    client.stop_run(visit.names["run"])
    return f"/runs/{visit.names['run']}"


def comparison(client: Client, visit: Visit) -> dict[str, Any]:
    """Raises InvalidValue where too many are asked for."""
    wanted = list(dict.fromkeys(visit.query.get("run", ())))
    if not wanted:
        raise InvalidValue("cannot compare runs: none was chosen", "choose some in the list of runs")
    if len(wanted) > COMPARED_MAX:
        raise InvalidValue(f"cannot compare {len(wanted)} runs: at most {COMPARED_MAX}", "choose fewer")
    runs = [client.run(one) for one in wanted]
    metric = visit.asked("metric") or common_metric(runs)
    rows = [Row(run["id"], run["hyperparameters"], run["metrics"].get(metric)) for run in runs]
    return {
        "runs": runs,
        "metric": metric,
        "metrics": sorted({name for run in runs for name in run["metrics"]}),
        "table": difference(runs),
        "charts": _charts(client, runs[:CURVES_MAX]),
        "curves_max": CURVES_MAX,
        "coordinates": coordinates(rows, metric, minimize=is_small_good(metric)) if metric else None,
        "minimize": is_small_good(metric),
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a comparison."""

    name: str
    values: Sequence[str]
    differs: bool


def difference(runs: Sequence[RunView]) -> list[tuple[str, list[Difference]]]:
    """What runs were given and what came of them, by subject, in a column for each run."""
    given = [run["hyperparameters"] for run in runs]
    gave = [{name: f"{value:.5g}" for name, value in run["metrics"].items()} for run in runs]
    read = [{name: run["sources"].get(name, digest[:12]) for name, digest in run["inputs"].items()} for run in runs]
    subjects = (("Metrics", gave), ("Hyperparameters", given), ("Inputs", read))
    return [(subject, _lines(columns)) for subject, columns in subjects if any(columns)]


def _lines(columns: Sequence[Mapping[str, str]]) -> list[Difference]:
    names = sorted({name for column in columns for name in column})
    return [
        Difference(
            name, [column.get(name, "") for column in columns], len({column.get(name) for column in columns}) > 1
        )
        for name in names
    ]


def _charts(client: Client, runs: Sequence[RunView]) -> list[Chart]:
    curves = {run["id"]: curves_of(islice(client.run_metrics(run["id"]), POINTS_READ_MAX)) for run in runs}
    names = sorted({name for one in curves.values() for name in one})
    return [
        step_chart(name, [Series(run, thinned(one[name])) for run, one in curves.items() if name in one])
        for name in names
    ]


def curves_of(points: Iterable[PointView]) -> dict[str, list[Point]]:
    """By metric, in the order of their steps."""
    ordered = sorted(points, key=lambda point: (point["name"], point["step"]))
    return {
        name: [(float(point["step"]), point["value"]) for point in group]
        for name, group in groupby(ordered, key=lambda point: point["name"])
    }


def thinned(points: Sequence[Point], most: int = POINTS_DRAWN_MAX) -> Sequence[Point]:
    """Not more than can be seen, with the last among them."""
    every = -(-len(points) // most)
    return points if every <= 1 else [*points[:-1:every], points[-1]]


def common_metric(runs: Sequence[RunView]) -> str:
    """The metric that most of them have, one of the validation before others; empty where there is none."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run["metrics"]:
            counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts, key=lambda name: (-counts[name], not name.startswith("validation"), name))
    return next(iter(ordered), "")


def is_small_good(metric: str) -> bool:
    """Whether less of it is better, as far as its name says."""
    return any(word in metric.lower() for word in _SMALL_IS_GOOD)


PAGES = (
    Page("/runs", "runs.html", run_list),
    Page("/runs/compare", "comparison.html", comparison),
    Page("/runs/{run}", "run.html", run_page, {"stop": stop_run}),
)
