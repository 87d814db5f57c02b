"""XGBoost as SageMaker has it built in: `python -m modelyard_worker.algorithms.xgboost`.

Channels `train` and, optionally, `validation`. Each round logs its metrics as `train-rmse`, `validation-rmse`; about
`ROUNDS_PRINTED` of them print a line, in XGBoost's own form. With early stopping the model keeps its best round only,
and the metrics end with that round's.
"""

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table, read_channel, read_content_types, read_format
from modelyard_worker.algorithms.xgboost_hyperparameters import Hyperparameters, read_hyperparameters
from modelyard_worker.job_environment import failure_file
from modelyard_worker.metrics import log_metric

if TYPE_CHECKING:
    import xgboost
    from xgboost.callback import TrainingCallback

MODEL_FILE = "model.ubj"

ROUNDS_PRINTED = 50
"""Of a training with more rounds, about so many are printed; every one is logged."""

History = Dict[str, Dict[str, List[float]]]
"""Data set -> metric -> its value after each round."""


def main() -> int:
    """Trains; 0, or 1 with the reason in the failure file."""
    try:
        _train()
    except BadInput as refusal:
        print(str(refusal), file=sys.stderr, flush=True)
        with open(failure_file(os.environ["SAGEMAKER_BASE_DIR"]), "w", encoding="utf-8") as file:
            file.write(str(refusal))
        return 1
    return 0


def _train() -> None:
    config = os.environ["SM_INPUT_CONFIG_DIR"]
    hyperparameters = read_hyperparameters(_read_json(os.path.join(config, "hyperparameters.json")))
    for note in hyperparameters.notes:
        print(f"note: {note}", flush=True)
    content_types = read_content_types(_read_json(os.path.join(config, "inputdataconfig.json")))
    tables = read_tables(content_types, hyperparameters)
    for name, table in tables.items():
        print(f"{name}: {table.features.shape[0]} rows, {table.features.shape[1]} features", flush=True)
    booster, history = fit(tables, hyperparameters)
    booster = keep_best(booster, history, hyperparameters)
    path = os.path.join(os.environ["SM_MODEL_DIR"], MODEL_FILE)
    booster.save_model(path)
    print(f"model: {MODEL_FILE}, {os.path.getsize(path)} bytes, {booster.num_boosted_rounds()} rounds", flush=True)


def _read_json(path: str) -> Dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_tables(content_types: Dict[str, Optional[str]], hyperparameters: Hyperparameters) -> Dict[str, Table]:
    """The tables by channel, `train` first. Raises BadInput."""
    unknown = sorted(set(content_types) - {"train", "validation"})
    if unknown:
        raise BadInput(f"cannot use channel {unknown[0]}: this algorithm reads train and validation")
    if "train" not in content_types:
        raise BadInput("cannot train: there is no channel named train; name one under inputs")
    if hyperparameters.early_stopping_rounds is not None and "validation" not in content_types:
        raise BadInput("cannot stop early without a channel named validation; name one under inputs")
    tables: Dict[str, Table] = {}
    for name in sorted(content_types):
        form = read_format(content_types[name], hyperparameters.csv_weights)
        tables[name] = read_channel(os.environ[f"SM_CHANNEL_{name.upper()}"], form)
    _check_widths(tables)
    for name, table in tables.items():
        _check_labels(name, table, hyperparameters.booster)
    return tables


def _check_widths(tables: Dict[str, Table]) -> None:
    if "validation" not in tables:
        return
    widths = tables["train"].features.shape[1], tables["validation"].features.shape[1]
    if widths[0] != widths[1] and not _is_sparse(tables["train"]):
        raise BadInput(f"cannot train: channel validation has {widths[1]} features where train has {widths[0]}")


def _check_labels(channel: str, table: Table, parameters: Dict[str, Any]) -> None:
    """XGBoost's own words for labels that do not fit an objective name neither the channel nor the label."""
    objective = str(parameters.get("objective", ""))
    low, high = float(table.labels.min()), float(table.labels.max())
    if objective.startswith("binary:") or objective == "reg:logistic":
        if low < 0 or high > 1:
            raise BadInput(
                f"cannot train: objective {objective} needs labels from 0 to 1, and channel {channel} has "
                f"{low if low < 0 else high:g}"
            )
    elif objective.startswith("multi:"):
        top = parameters["num_class"] - 1
        if low < 0 or high > top or (table.labels % 1).any():
            raise BadInput(
                f"cannot train: objective {objective} needs whole labels from 0 to {top} (num_class - 1), and channel "
                f"{channel} has labels from {low:g} to {high:g}"
            )


def _is_sparse(table: Table) -> bool:
    """Sparse rows say nothing of columns that are zero everywhere, so their widths may differ."""
    return hasattr(table.features, "tocsr")


def fit(tables: Dict[str, Table], hyperparameters: Hyperparameters) -> "Tuple[xgboost.Booster, History]":
    """The booster after its last round, and every metric. Raises BadInput where XGBoost refuses data or values."""
    import xgboost

    history: History = {}
    try:
        matrices = {name: _matrix(table, tables) for name, table in tables.items()}
        booster = xgboost.train(
            {"verbosity": 1, **hyperparameters.booster},
            matrices["train"],
            num_boost_round=hyperparameters.rounds,
            evals=[(matrix, name) for name, matrix in matrices.items()],
            early_stopping_rounds=hyperparameters.early_stopping_rounds,
            evals_result=history,  # pyright: ignore[reportArgumentType] (its type allows custom metrics' tuples too)
            verbose_eval=False,
            callbacks=[_reporter(hyperparameters.rounds)],
        )
    except xgboost.core.XGBoostError as error:
        raise BadInput(f"cannot train: {_first_sentence(str(error))}") from error
    return booster, history


def _matrix(table: Table, tables: Dict[str, Table]) -> "xgboost.DMatrix":
    import xgboost

    features = table.features
    if _is_sparse(table):
        width = max(one.features.shape[1] for one in tables.values())
        features.resize((features.shape[0], width))
    matrix = xgboost.DMatrix(features, label=table.labels, weight=table.weights)
    if table.groups is not None:
        matrix.set_info(qid=table.groups)
    return matrix


def _reporter(rounds: int) -> "TrainingCallback":
    """Logs every round, and prints some; a class made here because its base must be imported first."""
    from xgboost.callback import TrainingCallback

    apart = -(-rounds // ROUNDS_PRINTED)

    class Reporter(TrainingCallback):
        def __init__(self) -> None:
            self.unprinted = ""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 (its base's)
            values = {
                f"{data}-{name}": float(log[-1]) for data, logs in evals_log.items() for name, log in logs.items()
            }
            for name, value in values.items():
                log_metric(name, value, epoch)
            self.unprinted = f"[{epoch}]{_told(values)}"
            if epoch % apart == 0:
                self._say()
            return False

        def after_training(self, model: Any) -> Any:
            self._say()
            return model

        def _say(self) -> None:
            if self.unprinted:
                print(self.unprinted, flush=True)
            self.unprinted = ""

    return Reporter()


def _told(values: Dict[str, float]) -> str:
    """Metrics as XGBoost itself writes them, and whoever reads its logs expects them."""
    return "".join(f"\t{name}:{value:.5f}" for name, value in values.items())


def keep_best(booster: "xgboost.Booster", history: History, hyperparameters: Hyperparameters) -> "xgboost.Booster":
    """With early stopping: the booster up to its best round, whose metrics become the run's last."""
    if hyperparameters.early_stopping_rounds is None:
        return booster
    best = booster.best_iteration
    values = {f"{data}-{name}": log[best] for data, metrics in history.items() for name, log in metrics.items()}
    print(f"best round: {best}{_told(values)}", flush=True)
    for name, value in values.items():
        log_metric(name, value, best)
    # A linear booster has no rounds to cut off.
    return booster if hyperparameters.booster.get("booster") == "gblinear" else booster[: best + 1]


def _first_sentence(text: str) -> str:
    """XGBoost's message without its time, source position and stack trace."""
    first = text.strip().splitlines()[0]
    cleaned = re.sub(r"^\[[\d:]+\] [^ ]+:\d+: ", "", first)
    return re.sub(r"^Check failed: .*?: (?=\S)", "", cleaned).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
