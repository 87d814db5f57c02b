"""What MLflow is told of a run, in its words and within its limits."""

import json
import math
import posixpath
import re

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.runs import RunSpec, RunStatus, RunStep, move_run, new_run
from modelyard.domain.tracking import (
    NAME_LENGTH_MAX,
    PARAM_LENGTH_MAX,
    Point,
    allowed_name,
    end_tags_of,
    inputs_of,
    metrics_of,
    params_of,
    pieces,
    tags_of,
)

TREE = "ab" * 32
SPEC = RunSpec(
    "price",
    "shop",
    None,
    "train.py",
    "c0de",
    inputs={"train": TREE},
    sources={"train": 's3://a/"b".csv'},
    hyperparameters={"eta": "0.1", "long@name": "x" * 10_000},
    git_commit="0a1b2c+changes",
)
RUN = new_run("price-1", SPEC, 1.0)


def test_a_run_is_told_with_the_commit_and_the_digest_of_its_code() -> None:
    tags = tags_of(RUN)
    assert tags["mlflow.source.git.commit"] == "0a1b2c", "MLflow knows commits alone"
    assert (tags["modelyard.commit"], tags["modelyard.code"]) == ("0a1b2c+changes", "c0de")
    assert "mlflow.source.git.commit" not in tags_of(
        new_run("price-1", RunSpec("price", "shop", None, "a.py", None), 1.0)
    )


def test_an_input_is_a_dataset_with_the_digest_of_what_was_read_and_where_it_came_from() -> None:
    (found,) = inputs_of(RUN)
    assert (found["dataset"]["name"], found["dataset"]["digest"]) == ("train", TREE[:36])
    assert json.loads(found["dataset"]["source"]) == {"tree": TREE, "from": 's3://a/"b".csv'}


def test_hyperparameters_are_cut_and_named_as_mlflow_takes_them() -> None:
    assert params_of(RUN) == {"eta": "0.1", "long_name": "x" * PARAM_LENGTH_MAX}


def test_an_end_is_told_with_its_reason() -> None:
    failed = move_run(RUN, RunStatus.FAILED, RunStep.FAILED, 2.0, failure_reason="no room")
    assert end_tags_of(failed) == {"modelyard.status": "Failed", "modelyard.reason": "no room"}


def test_values_that_json_cannot_hold_are_words() -> None:
    points = [Point("a", value, 0, 1.5) for value in (math.nan, math.inf, -math.inf, 0.5)]
    assert [one["value"] for one in metrics_of(points)] == ["NaN", "Infinity", "-Infinity", 0.5]
    assert metrics_of(points)[0]["timestamp"] == 1500


@given(st.text() | st.text("a/. ", min_size=1) | st.text("a/. ", min_size=NAME_LENGTH_MAX))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    allowed = allowed_name(name)
    assert 0 < len(allowed) <= NAME_LENGTH_MAX
    # MLflow's own check of names, which are paths to it.
    assert re.fullmatch(r"[/\w.\- :]*", allowed)
    assert posixpath.normpath(allowed) == allowed
    assert not allowed.startswith((".", "/"))
    assert allowed_name(allowed) == allowed


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.integers(1, 10))
def test_pieces_hold_everything_once_and_none_is_too_long(found: dict[str, str], most: int) -> None:
    made = list(pieces(found, most))
    assert [{"key": name, "value": value} for name, value in found.items()] == [one for piece in made for one in piece]
    assert all(0 < len(piece) <= most for piece in made)
