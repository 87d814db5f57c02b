"""The hyperparameters of SageMaker's built-in XGBoost: names, types, ranges; and what becomes of each here.

From the algorithm's public documentation. Unknown names are refused as there, so that a misspelt one is not silently
without effect. Values arrive as text or as numbers.
"""

import difflib
import json
import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from modelyard_worker.algorithms.refusal import BadInput

ROUNDS_DEFAULT = 100
"""SageMaker has no default for num_round; this is XGBoost's own for its estimators."""

Reader = Callable[[str], Any]


class Hyperparameters(NamedTuple):
    """What a training needs, read and checked."""

    rounds: int
    early_stopping_rounds: Optional[int]
    csv_weights: bool
    booster: Dict[str, Any]
    """Parameters for the booster itself, by XGBoost's names; `eval_metric` is a list."""
    notes: List[str]
    """Sentences for the log: what was replaced or has no effect."""


def read_hyperparameters(given: Dict[str, Any]) -> Hyperparameters:
    """Raises BadInput naming the hyperparameter, what was found and what is allowed."""
    values: Dict[str, Any] = {}
    notes: List[str] = []
    for spelled, value in given.items():
        if spelled.startswith("sagemaker_"):
            continue
        name = _ALIASES.get(spelled, spelled)
        if name in _WITHOUT_EFFECT:
            notes.append(f"hyperparameter {name} has no effect: {_WITHOUT_EFFECT[name]}")
            continue
        values[name] = _read(name, spelled, value)
    _check_together(values)
    if values.get("objective") == "reg:linear":
        values["objective"] = "reg:squarederror"
        notes.append("objective reg:linear is the old name of reg:squarederror, which is used")
    return Hyperparameters(
        rounds=values.pop("num_round", ROUNDS_DEFAULT),
        early_stopping_rounds=values.pop("early_stopping_rounds", None),
        csv_weights=bool(values.pop("csv_weights", 0)),
        booster=values,
        notes=notes,
    )


def _read(name: str, spelled: str, value: Any) -> Any:
    if name not in _READERS:
        close = difflib.get_close_matches(name, [*_READERS, *_ALIASES], n=1)
        raise BadInput(
            f"cannot use hyperparameter {spelled}: unknown; "
            + (f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(_READERS))}")
        )
    text = _text(value)
    try:
        return _READERS[name](text)
    except ValueError as error:
        raise BadInput(f"cannot use hyperparameter {spelled}={text!r}: {error}") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _check_together(values: Dict[str, Any]) -> None:
    objective = values.get("objective", "reg:squarederror")
    if objective.startswith("multi:") and "num_class" not in values:
        raise BadInput(f"cannot use objective {objective}: it needs num_class")
    if "num_class" in values and not objective.startswith("multi:"):
        raise BadInput(f"cannot use num_class with objective {objective}: it is for multi:softmax and multi:softprob")
    if objective == "reg:quantileerror" and "quantile_alpha" not in values:
        raise BadInput("cannot use objective reg:quantileerror: it needs quantile_alpha")


def _integer(low: Optional[int] = None, high: Optional[int] = None) -> Reader:
    def read(text: str) -> int:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer():
            raise ValueError(f"it must be a whole number{_range(low, high)}")
        value = int(number)
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"it must be a whole number{_range(low, high)}")
        return value

    return read


def _real(low: Optional[float] = None, high: Optional[float] = None, above: Optional[float] = None) -> Reader:
    """A number from `low` to `high`, or greater than `above`."""
    words = _range(low, high) if above is None else f" greater than {above:g}"
    if above is not None and high is not None:
        words += f" and at most {high:g}"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        too_low = (low is not None and value < low) or (above is not None and value <= above)
        if not math.isfinite(value) or too_low or (high is not None and value > high):
            raise ValueError(f"it must be a number{words}")
        return value

    return read


def _range(low: Optional[float], high: Optional[float]) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return f" of at most {high:g}" if high is not None else ""


def _choice(*allowed: str) -> Reader:
    def read(text: str) -> str:
        if text not in allowed:
            close = difflib.get_close_matches(text, allowed, n=1)
            raise ValueError((f"did you mean {close[0]}? " if close else "") + f"allowed are {', '.join(allowed)}")
        return text

    return read


def _metrics(text: str) -> List[str]:
    names = [name.strip().strip("'\"") for name in text.strip("[]").split(",")]
    for name in names:
        stem = name.partition("@")[0]
        if stem not in _METRICS:
            close = difflib.get_close_matches(stem, _METRICS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(_METRICS)}"
            raise ValueError(f"{name!r} is not a metric; {hint}")
    return names


def _words(*allowed: str) -> Reader:
    """A comma-separated list, handed on as it is."""

    def read(text: str) -> str:
        for word in text.split(","):
            _choice(*allowed)(word.strip())
        return text

    return read


def _constraints(text: str) -> str:
    """`(1,0,-1)`."""
    numbers = text.strip("()[] ").split(",")
    if any(number.strip() not in ("-1", "0", "1") for number in numbers):
        raise ValueError("it must be a list of -1, 0 and 1: (1,0,-1)")
    return "(" + ",".join(number.strip() for number in numbers) + ")"


def _nested(text: str) -> str:
    """`[[0,1],[2,3]]`."""
    try:
        groups: Any = json.loads(text)
    except ValueError:
        groups = None
    ok = isinstance(groups, list) and all(
        isinstance(group, list) and all(isinstance(one, int) for one in group)  # pyright: ignore[reportUnknownVariableType]
        for group in groups  # pyright: ignore[reportUnknownVariableType]
    )
    if not ok:
        raise ValueError("it must be a list of lists of column numbers: [[0,1],[2,3]]")
    return text


_UNIT = _real(0, 1)
_SHARE = _real(above=0, high=1)
_NOT_NEGATIVE = _real(0)
_FLAG = _integer(0, 1)

_METRICS: Tuple[str, ...] = (
    "rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror", "mlogloss", "auc", "aucpr", "ndcg", "map",
    "poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik", "cox-nloglik", "aft-nloglik",
    "interval-regression-accuracy", "quantile", "pre",
)  # fmt: skip

_READERS: Dict[str, Reader] = {
    # How long, on what.
    "num_round": _integer(1),
    "early_stopping_rounds": _integer(1),
    "csv_weights": _FLAG,
    "nthread": _integer(1),
    "seed": _integer(-(2**31), 2**31 - 1),
    "verbosity": _integer(0, 3),
    # What is learned.
    "objective": _choice(
        "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror",
        "reg:absoluteerror", "reg:quantileerror", "reg:gamma", "reg:tweedie", "binary:logistic", "binary:logitraw",
        "binary:hinge", "count:poisson", "multi:softmax", "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map",
        "survival:aft", "survival:cox",
    ),
    "num_class": _integer(2),
    "base_score": _real(),
    "eval_metric": _metrics,
    "tweedie_variance_power": _real(1, 2),
    "huber_slope": _real(above=0),
    "quantile_alpha": _UNIT,
    "aft_loss_distribution": _choice("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _real(above=0),
    "scale_pos_weight": _NOT_NEGATIVE,
    # The booster.
    "booster": _choice("gbtree", "gblinear", "dart"),
    "eta": _UNIT,
    "gamma": _NOT_NEGATIVE,
    "max_depth": _integer(0),
    "min_child_weight": _NOT_NEGATIVE,
    "max_delta_step": _NOT_NEGATIVE,
    "subsample": _SHARE,
    "sampling_method": _choice("uniform", "gradient_based"),
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "lambda": _NOT_NEGATIVE,
    "alpha": _NOT_NEGATIVE,
    "tree_method": _choice("auto", "exact", "approx", "hist"),
    "updater": _words(
        "grow_colmaker", "grow_histmaker", "grow_quantile_histmaker", "sync", "refresh", "prune", "shotgun",
        "coord_descent",
    ),
    "refresh_leaf": _FLAG,
    "process_type": _choice("default", "update"),
    "grow_policy": _choice("depthwise", "lossguide"),
    "max_leaves": _integer(0),
    "max_bin": _integer(2),
    "num_parallel_tree": _integer(1),
    "monotone_constraints": _constraints,
    "interaction_constraints": _nested,
    "multi_strategy": _choice("one_output_per_tree", "multi_output_tree"),
    "feature_selector": _choice("cyclic", "shuffle", "random", "greedy", "thrifty"),
    "top_k": _integer(0),
    # Dart.
    "sample_type": _choice("uniform", "weighted"),
    "normalize_type": _choice("tree", "forest"),
    "rate_drop": _UNIT,
    "one_drop": _FLAG,
    "skip_drop": _UNIT,
    # Ranking.
    "lambdarank_pair_method": _choice("mean", "topk"),
    "lambdarank_num_pair_per_sample": _integer(1),
}  # fmt: skip

_ALIASES = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "reg_lambda": "lambda",
    "reg_alpha": "alpha",
    "num_boost_round": "num_round",
    "n_estimators": "num_round",
    "random_state": "seed",
    "n_jobs": "nthread",
}

_GONE = "XGBoost no longer has it"
_WITHOUT_EFFECT = {
    "sketch_eps": _GONE,
    "predictor": _GONE,
    "single_precision_histogram": _GONE,
    "deterministic_histogram": _GONE,
    "dsplit": _GONE,
    "lambda_bias": _GONE,
    "prob_buffer_row": _GONE,
    "save_model_on_termination": "a stopped run registers no model",
    "_tuning_objective_metric": "every metric is recorded",
}
