"""Anomalies in series: STL, then generalized ESD: `python -m modelyard_worker.algorithms.stl_esd`.

STL takes season and trend out (Cleveland 1990); on what remains the generalized extreme Studentized
deviate test of Rosner (1983) finds up to a given share of anomalies. With `hybrid` it measures by the median and the
median absolute deviation, which many anomalies do not mask (Hochenbaum, Vallis, Kejariwal 2017).

A training examines the series of channel `train`, one value a line (with `label_size=1` a label before it, 1 for an
anomaly, which only measures), and writes what it found to output/data/anomalies.csv. Served, a row is a whole series.
"""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels is in the job's environment.
# pyright: reportMissingImports=false

import csv
import math
import os
import sys
from typing import Any, Dict, List, NamedTuple, Tuple

from modelyard_worker.algorithms.detection import measures
from modelyard_worker.algorithms.hyperparameters import Choice, Flag, Hyperparameter, Real, Whole
from modelyard_worker.algorithms.port import Algorithm, Trained, run
from modelyard_worker.algorithms.port import Model as Port
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table

BOTH, ABOVE, BELOW = "both", "above", "below"
_MAD_TO_SIGMA = 1.4826
"""What makes the median absolute deviation of normal values their standard deviation."""


class StlEsd(Algorithm):
    name = "stl-esd"
    about = "Anomalies in a series with a season: STL, then the generalized ESD test."
    label_sizes = ("0", "1")
    requirements = ("statsmodels>=0.14", "numpy")
    hyperparameters = (
        Hyperparameter("period", Whole(2), None, "Values in one season: 7 for days with weeks.", required=True),
        Hyperparameter("max_anomalies", Real(above=0, high=0.49), 0.1, "Largest share of the values that is tested."),
        Hyperparameter("alpha", Real(above=0, high=0.5), 0.05, "Level of significance of the whole test."),
        Hyperparameter("direction", Choice(BOTH, ABOVE, BELOW), BOTH, "Which deviations count."),
        Hyperparameter("hybrid", Flag(), True, "Median and its absolute deviation in place of mean and deviation."),
        Hyperparameter(
            "trend_seasons", Real(2), 10,
            "Over how many seasons the trend is smoothed: fewer follow the level sooner, and then hide its shifts.",
        ),
        Hyperparameter("robust", Flag(), True, "Whether STL gives outliers little weight."),
    )  # fmt: skip

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> Trained:
        import numpy as np

        arrays = {name: np.array(value) for name, value in values.items()}
        model = Model(arrays)
        metrics: Dict[str, float] = {}
        for channel, table in tables.items():
            if table.features.shape[1] != 1:
                raise BadInput(f"cannot read channel {channel}: a line must hold one value of the series")
            series = np.asarray(table.features[:, 0], np.float64)
            _check(series, values["period"], f"channel {channel}")
            flags, deviations = model.examine(series)
            _write(channel, series, flags, deviations)
            metrics.update(measures(channel, np.where(flags, 1.0, 0.0), 1.0, table.labels))
        return Trained(arrays, metrics)


def _check(series: Any, period: int, what: str) -> None:
    import numpy as np

    if len(series) < 2 * period:
        raise BadInput(f"cannot examine {what}: it has {len(series)} values, and two seasons have {2 * period}")
    if np.isnan(series).any():
        raise BadInput(f"cannot examine {what}: value {int(np.flatnonzero(np.isnan(series))[0]) + 1} is missing")


def _write(channel: str, series: Any, flags: Any, deviations: Any) -> None:
    folder = os.environ["SM_OUTPUT_DATA_DIR"]
    name = "anomalies.csv" if channel == "train" else f"anomalies-{channel}.csv"
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("line", "value", "deviation"))
        for place in flags.nonzero()[0]:
            lines.writerow((int(place) + 1, float(series[place]), float(deviations[place])))


class Test(NamedTuple):
    """One step of the generalized ESD test."""

    place: int
    """Of the most extreme of the values that are left."""
    statistic: float
    critical: float


def generalized_esd(values: Any, most: int, alpha: float, direction: str = BOTH, hybrid: bool = False) -> List[Test]:
    """All steps, of which those up to the last whose statistic is above its critical value are anomalies."""
    import numpy as np

    left = np.asarray(values, np.float64)
    places = np.arange(len(left))
    count = len(left)
    steps: List[Test] = []
    for step in range(1, min(most, count - 2) + 1):
        centre = np.median(left) if hybrid else left.mean()
        spread = _MAD_TO_SIGMA * np.median(np.abs(left - centre)) if hybrid else left.std(ddof=1)
        if not spread > 0:
            break
        away = left - centre
        away = {BOTH: np.abs(away), ABOVE: away, BELOW: -away}[direction]
        extreme = int(np.argmax(away))
        steps.append(Test(int(places[extreme]), float(away[extreme] / spread), critical(count, step, alpha, direction)))
        left, places = np.delete(left, extreme), np.delete(places, extreme)
    return steps


def critical(count: int, step: int, alpha: float, direction: str = BOTH) -> float:
    """Rosner's critical value for the step-th of the most extreme of `count` values."""
    from scipy.stats import t

    left = count - step + 1
    tail = alpha / left / (2 if direction == BOTH else 1)
    quantile = float(t.ppf(1 - tail, left - 2))
    return (left - 1) * quantile / math.sqrt((left - 2 + quantile**2) * left)


def anomalies(steps: List[Test]) -> List[int]:
    """Places of what the test calls anomalies, the most extreme first."""
    above = [number for number, step in enumerate(steps, 1) if step.statistic > step.critical]
    return [step.place for step in steps[: above[-1]]] if above else []


class Model(Port):
    features = None

    def __init__(self, arrays: Dict[str, Any]) -> None:
        self._period, self._alpha = int(arrays["period"]), float(arrays["alpha"])
        self._share, self._direction = float(arrays["max_anomalies"]), str(arrays["direction"])
        self._hybrid, self._robust = bool(arrays["hybrid"]), bool(arrays["robust"])
        # STL wants odd windows, and the trend's longer than a season.
        self._trend_window = 2 * round(float(arrays["trend_seasons"]) * self._period / 2) + 1

    def examine(self, series: Any) -> Tuple[Any, Any]:
        """Whether each value is an anomaly, and how far it is from what season and level lead to expect."""
        import numpy as np
        from statsmodels.tsa.seasonal import STL

        # A window of the season that is longer than the series makes every season the same.
        periodic = 10 * len(series) + 1
        parts: Any = STL(
            series,
            period=self._period,
            seasonal=periodic,
            seasonal_deg=0,
            trend=self._trend_window,
            robust=self._robust,
        ).fit()
        remainder = parts.resid
        most = max(1, math.ceil(self._share * len(series)))
        steps = generalized_esd(remainder, most, self._alpha, self._direction, self._hybrid)
        flags = np.zeros(len(series), bool)
        flags[anomalies(steps)] = True
        return flags, remainder

    def predict(self, rows: Any) -> Any:
        """For each row, which is a series: 1 where a value is an anomaly, and every value's deviation."""
        import numpy as np

        for number, row in enumerate(rows, 1):
            try:
                _check(row, self._period, f"row {number}")
            except BadInput as refusal:
                raise ValueError(str(refusal)) from None
        examined = [self.examine(row) for row in rows]
        return {
            "anomaly": np.array([flags.astype(int) for flags, _ in examined]),
            "deviation": np.array([deviations for _, deviations in examined]),
        }


if __name__ == "__main__":
    sys.exit(run(StlEsd()))
