"""`python -m modelyard.processes.sampler`: chooses what trials of tunings try next, with Optuna.

One JSON object a line each way. A question has all there is to know (`domain.tunings`), so the process holds nothing
and may be killed at any time. It is one of its own because Optuna takes 60 MB and a second to import, which a yard that
tunes nothing must not pay for; the controller starts it at the first question and ends it when no tuning is left.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

SEEDS = 2**32
"""How many there are, by NumPy's generators."""

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "running": TrialState.RUNNING,
    "failed": TrialState.FAIL,
}

_STEP = 1
"""Where a trial that was stopped in the middle stood: its samplers only want to know that it stood somewhere."""


def choose(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`count` sets of parameters for `ranges`, given `trials`; the same question has the same answer."""
    ranges: list[dict[str, Any]] = question["ranges"]
    distributions = {one["name"]: _distribution(one) for one in ranges}
    study = optuna.create_study(
        direction="minimize" if question["minimize"] else "maximize", sampler=_sampler(question)
    )
    for trial in question["trials"]:
        state = _STATES[trial["state"]]
        given = {one["name"]: _searched(one, trial["parameters"][one["name"]]) for one in ranges}
        study.add_trial(create_trial(state=state, params=given, distributions=distributions, **_came_to(trial, state)))
    asked = [study.ask(distributions) for _ in range(question["count"])]
    return [{one["name"]: _meant(one, trial.params[one["name"]]) for one in ranges} for trial in asked]


def _came_to(trial: Mapping[str, Any], state: TrialState) -> dict[str, Any]:
    """A trial that was stopped early tells less than one that ended, and more than one that failed."""
    if state is TrialState.COMPLETE:
        return {"value": trial["value"]}
    return {"intermediate_values": {_STEP: trial["value"]}} if state is TrialState.PRUNED else {}


def _sampler(question: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    # A seed alone would give every question the first answer again.
    seed = (int(question["seed"]) * 1_000_003 + len(question["trials"])) % SEEDS
    if question["strategy"] == "Random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _distribution(wanted: Mapping[str, Any]) -> BaseDistribution:
    low, high, scaling = wanted["low"], wanted["high"], wanted["scaling"]
    if wanted["kind"] == "categorical":
        return CategoricalDistribution(wanted["values"])
    if wanted["kind"] == "integer":
        return IntDistribution(int(low), int(high), log=scaling == "Logarithmic")
    if scaling == "ReverseLogarithmic":
        return FloatDistribution(1 - high, 1 - low, log=True)
    return FloatDistribution(low, high, log=scaling == "Logarithmic")


def _searched(wanted: Mapping[str, Any], value: Any) -> Any:
    """A value as its distribution has it; rounding must not carry it over an end."""
    if wanted["kind"] == "categorical":
        return value
    value = min(max(value, wanted["low"]), wanted["high"])
    return 1 - value if wanted["scaling"] == "ReverseLogarithmic" else value


def _meant(wanted: Mapping[str, Any], value: Any) -> Any:
    return 1 - value if wanted["scaling"] == "ReverseLogarithmic" else value


def main() -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"parameters": choose(json.loads(line))}
        except Exception as error:  # noqa: BLE001 (whatever it was, the one who asks must hear it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
