# pyright: basic, reportMissingImports=false
"""A study of Optuna's whose objective is a run of the yard: `study.py MODELYARD`, in the project's folder.

MODELYARD is the command; what it prints as JSON is all that there is between the two. Prints what the study found.
"""

import json
import subprocess
import sys

import optuna


def objective(trial: optuna.Trial) -> float:
    point = trial.suggest_float("point", 0.0, 1.0)
    command = [sys.argv[1], "train", "tries", "--set", f"point={point}", "-o", "json"]
    run = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    trial.set_user_attr("run", run["id"])
    return run["metrics"]["distance"]


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3))
study.optimize(objective, n_trials=5)
best = study.best_trial
found = {"version": optuna.__version__, "best": [best.user_attrs["run"], best.value, best.params["point"]]}
print(json.dumps({**found, "values": [one.value for one in study.trials]}))
