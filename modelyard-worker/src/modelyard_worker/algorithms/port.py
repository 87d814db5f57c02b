"""What every built-in algorithm but XGBoost is: it learns a model from tables, and the model is arrays in one file.

The file, MODEL_FILE, is NumPy's NPZ with a further array `algorithm`, its name: no pickle, so reading one runs no code.
`loaders.builtin` serves it. An algorithm whose model needs libraries beyond NumPy leaves `requirements.txt` beside it.
"""

import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from modelyard_worker.algorithms import xgboost_hyperparameters
from modelyard_worker.algorithms.hyperparameters import Hyperparameter, read_hyperparameters
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table, read_channel, read_content_types, read_format
from modelyard_worker.job_environment import ALGORITHMS, failure_file
from modelyard_worker.metrics import log_metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

XGBOOST = "xgboost"
MODEL_FILE = "model.mym"
NAME = "algorithm"


class Model:
    """What predicts. It is made anew from what `arrays` gave."""

    features: Optional[int]
    """How many values a row must have; None is any number."""

    def __init__(self, arrays: Dict[str, Any]) -> None:
        raise NotImplementedError

    def predict(self, rows: "Rows") -> Any:
        """An array with one value, or one row of values, for each row; or several by name."""
        raise NotImplementedError


class Trained(NamedTuple):
    """What `Algorithm.train` learned: arrays that make a `Model`."""

    arrays: Dict[str, Any]
    metrics: Dict[str, float]
    """Logged at the end."""


class Algorithm:
    """The port."""

    name: str
    about: str
    """One sentence for the reference."""
    hyperparameters: Tuple[Hyperparameter, ...]
    label_sizes: Tuple[str, ...] = ("1",)
    """What a CSV's `label_size` may be, the default first."""
    requirements: Tuple[str, ...] = ()
    """What the model needs where it is served, as lines of a requirements.txt."""
    model_file: str = MODEL_FILE

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> Optional[Trained]:
        """Learns from the channel `train`, measures on `validation` where it is there. None where it wrote its model
        by itself. Raises BadInput."""
        raise NotImplementedError


def algorithm_named(name: str) -> Algorithm:
    """One of `job_environment.ALGORITHMS` but XGBoost, which is older than the port."""
    module = importlib.import_module(ALGORITHMS[name])
    found = [one for one in vars(module).values() if isinstance(one, type) and getattr(one, "name", None) == name]
    return found[0]()


def hyperparameter_reader(name: str) -> Callable[[Dict[str, Any]], object]:
    """How a built-in algorithm reads its hyperparameters, without any library that it trains with: whoever takes a
    training on refuses by it what the job would refuse. The reader raises BadInput."""
    if name == XGBOOST:
        return xgboost_hyperparameters.read_hyperparameters
    known = algorithm_named(name).hyperparameters
    return lambda given: read_hyperparameters(known, given)


def run(algorithm: Algorithm) -> int:
    """Trains in a job's world; 0, or 1 with the reason in the failure file."""
    try:
        _train(algorithm)
    except BadInput as refusal:
        print(str(refusal), file=sys.stderr, flush=True)
        with open(failure_file(os.environ["SAGEMAKER_BASE_DIR"]), "w", encoding="utf-8") as file:
            file.write(str(refusal))
        return 1
    return 0


def _train(algorithm: Algorithm) -> None:
    config = os.environ["SM_INPUT_CONFIG_DIR"]
    values = read_hyperparameters(algorithm.hyperparameters, _read_json(config, "hyperparameters.json"))
    tables = _read_tables(algorithm, read_content_types(_read_json(config, "inputdataconfig.json")))
    for name, table in tables.items():
        print(f"{name}: {table.features.shape[0]} rows, {table.features.shape[1]} columns", flush=True)
    trained = algorithm.train(tables, values)
    if trained is not None:
        report(trained.metrics)
        save(algorithm.name, trained.arrays, os.path.join(os.environ["SM_MODEL_DIR"], MODEL_FILE))
    if algorithm.requirements:
        with open(os.path.join(os.environ["SM_MODEL_DIR"], "requirements.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in algorithm.requirements)
    size = os.path.getsize(os.path.join(os.environ["SM_MODEL_DIR"], algorithm.model_file))
    print(f"model: {algorithm.model_file}, {size} bytes", flush=True)


def _read_json(folder: str, name: str) -> Dict[str, Any]:
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def _read_tables(algorithm: Algorithm, content_types: Dict[str, Optional[str]]) -> Dict[str, Table]:
    unknown: List[str] = sorted(set(content_types) - {"train", "validation"})
    if unknown:
        raise BadInput(f"cannot use channel {unknown[0]}: this algorithm reads train and validation")
    if "train" not in content_types:
        raise BadInput("cannot train: there is no channel named train; name one under inputs")
    tables: Dict[str, Table] = {}
    for channel in sorted(content_types):
        form = read_format(content_types[channel], label_sizes=algorithm.label_sizes)
        table = read_channel(os.environ[f"SM_CHANNEL_{channel.upper()}"], form)
        if hasattr(table.features, "toarray"):
            table = table._replace(features=table.features.toarray())
        tables[channel] = table
    widths = {name: table.features.shape[1] for name, table in tables.items()}
    if len(set(widths.values())) > 1:
        raise BadInput(
            f"cannot train: channel validation has {widths['validation']} columns where train has {widths['train']}"
        )
    return tables


def save(name: str, arrays: Dict[str, Any], path: str) -> None:
    import numpy as np

    with open(path, "wb") as file:  # given a name, NumPy would add its own ending
        np.savez(file, **{NAME: np.array(name)}, **arrays)


def report(metrics: Dict[str, float], step: Optional[int] = None) -> None:
    """Prints and logs metrics."""
    for name, value in metrics.items():
        print(f"{name}: {value:.6g}", flush=True)
        log_metric(name, value, step)


def labels_of(table: Table, channel: str) -> "Rows":
    """Raises BadInput where the channel has none."""
    import numpy as np

    if len(table.labels) == 0:
        raise BadInput(f"cannot train: channel {channel} has no labels; its content type says label_size=0")
    return np.asarray(table.labels, np.float64)
