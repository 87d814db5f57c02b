"""Hyperparameters of the built-in XGBoost: read as SageMaker's, refused with the remedy."""

from typing import Any

import pytest
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.xgboost_hyperparameters import read_hyperparameters


def test_text_and_numbers_mean_the_same() -> None:
    as_text = read_hyperparameters({"num_round": "20", "eta": "0.2", "max_depth": "5"})
    assert as_text == read_hyperparameters({"num_round": 20, "eta": 0.2, "max_depth": 5.0})
    assert as_text.rounds == 20
    assert as_text.booster == {"eta": 0.2, "max_depth": 5}


def test_rounds_have_a_default() -> None:
    assert read_hyperparameters({}).rounds == 100


def test_the_old_name_of_squared_error_is_replaced_with_a_note() -> None:
    read = read_hyperparameters({"objective": "reg:linear"})
    assert read.booster["objective"] == "reg:squarederror"
    assert "reg:linear" in read.notes[0]


def test_parameters_that_xgboost_dropped_are_accepted_without_effect() -> None:
    read = read_hyperparameters({"sketch_eps": "0.03", "predictor": "auto"})
    assert read.booster == {}
    assert len(read.notes) == 2


def test_metrics_are_a_list() -> None:
    assert read_hyperparameters({"eval_metric": "rmse, mae,error@0.7"}).booster["eval_metric"] == [
        "rmse",
        "mae",
        "error@0.7",
    ]


def test_aliases_are_known() -> None:
    assert read_hyperparameters({"learning_rate": "0.1", "reg_lambda": "2"}).booster == {"eta": 0.1, "lambda": 2.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_dept": "5"}, "did you mean max_depth?"),
        ({"eta": "fast"}, "eta='fast': it must be a number from 0 to 1"),
        ({"eta": "1.5"}, "number from 0 to 1"),
        ({"subsample": "0"}, "greater than 0 and at most 1"),
        ({"max_depth": "2.5"}, "whole number of at least 0"),
        ({"num_round": 0}, "whole number of at least 1"),
        ({"num_round": "inf"}, "whole number"),
        ({"objective": "reg:squarederorr"}, "did you mean reg:squarederror?"),
        ({"eval_metric": "rsme"}, "did you mean rmse?"),
        ({"objective": "multi:softmax"}, "it needs num_class"),
        ({"num_class": "3"}, "multi:softmax"),
        ({"monotone_constraints": "(2,0)"}, "-1, 0 and 1"),
        ({"interaction_constraints": "[1]"}, "list of lists"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match="cannot use") as refusal:
        read_hyperparameters(given)
    assert message in str(refusal.value)
