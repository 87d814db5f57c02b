"""The built-in XGBoost, as a job."""

import json
from typing import Any

import pytest
import xgboost

from tests.contract.job.job_harness import Job, Jobs

ROWS = [(3 * a - 2 * b + 1, a, b) for a in range(20) for b in range(10)]
TRAIN = "".join(f"{label},{a},{b}\n" for label, a, b in ROWS)
VALIDATION = "".join(f"{label + 0.5},{a},{b}\n" for label, a, b in ROWS[::7])


def train(jobs: Jobs, channels: dict[str, dict[str, str]], **hyperparameters: str) -> tuple[Job, dict[str, Any]]:
    job = jobs.start("", algorithm="xgboost", channels=channels, hyperparameters=hyperparameters)
    return job, job.end()


def test_it_learns_prints_its_rounds_and_leaves_a_model(jobs: Jobs) -> None:
    channels = {"train": {"a.csv": TRAIN}, "validation": {"b.csv": VALIDATION}}
    job, record = train(jobs, channels, num_round="30", eta="0.4", objective="reg:linear")
    assert record["code"] == 0, job.output
    assert "reg:squarederror" in job.output
    assert "[0]\ttrain-rmse:" in job.output
    assert "[29]\ttrain-rmse:" in job.output
    assert record["metrics"].keys() == {"train-rmse", "validation-rmse"}
    assert record["metrics"]["train-rmse"] < 1.0
    booster = xgboost.Booster(model_file=job.base / "model" / "model.ubj")
    assert booster.num_features() == 2


def test_early_stopping_keeps_the_best_round_and_its_metrics(jobs: Jobs) -> None:
    validation = "".join(f"{-label},{a},{b}\n" for label, a, b in ROWS)  # learning makes it worse soon
    channels = {"train": {"a.csv": TRAIN}, "validation": {"b.csv": validation}}
    job, record = train(jobs, channels, num_round="500", early_stopping_rounds="3", eval_metric="mae,rmse")
    assert record["code"] == 0, job.output
    best = int(job.output.partition("best round: ")[2].split()[0])
    assert xgboost.Booster(model_file=job.base / "model" / "model.ubj").num_boosted_rounds() == best + 1
    line = next(line for line in job.output.splitlines() if line.startswith("best round: "))
    assert f"validation-rmse:{record['metrics']['validation-rmse']:.5f}" in line


def test_of_many_rounds_some_are_printed_the_last_among_them_and_all_are_logged(jobs: Jobs) -> None:
    job, record = train(jobs, {"train": {"a.csv": TRAIN}}, num_round="120")
    assert record["code"] == 0, job.output
    printed = [int(line[1:].partition("]")[0]) for line in job.output.splitlines() if line.startswith("[")]
    assert printed == [*range(0, 120, 3), 119]
    logged = [json.loads(line) for line in (job.base / "output" / "metrics.jsonl").read_text().splitlines()]
    assert [one["step"] for one in logged if one.get("name") == "train-rmse"] == list(range(120))


def test_libsvm_is_read_by_its_content_type(jobs: Jobs) -> None:
    text = "".join(f"{label} 0:{a} 1:{b}\n" for label, a, b in ROWS)
    job = jobs.start(
        "", algorithm="xgboost", channels={"train": {"a": text}}, content_types={"train": "text/libsvm"},
        hyperparameters={"num_round": "3"},
    )  # fmt: skip
    assert job.end()["code"] == 0, job.output


@pytest.mark.parametrize(
    ("channels", "hyperparameters", "reason"),
    [
        ({"train": {"t.csv": "price,area\n1,2\n"}}, {}, "cannot read t.csv: line 1 has text ('price'); remove"),
        ({"train": {"t.csv": TRAIN}}, {"max_dept": "3"}, "cannot use hyperparameter max_dept: unknown; did you mean"),
        ({"train": {"t.csv": TRAIN}}, {"early_stopping_rounds": "3"}, "cannot stop early without a channel named"),
        ({"training": {"t.csv": TRAIN}}, {}, "cannot use channel training"),
        ({"train": {"t.csv": "1,2\n"}, "validation": {"v.csv": "1,2,3\n"}}, {}, "has 2 features where train has 1"),
        ({"train": {"t.csv": TRAIN}}, {"objective": "binary:logistic"}, "needs labels from 0 to 1, and channel train"),
        ({"train": {"t.csv": "0,1\n5,2\n"}}, {"objective": "multi:softmax", "num_class": "3"}, "from 0 to 2"),
        ({"train": {"t.csv": "-1,1\n5,2\n"}}, {"objective": "count:poisson"}, "cannot train: "),
    ],
)  # fmt: skip
def test_what_the_user_must_change_is_the_reason_in_one_sentence(
    jobs: Jobs, channels: dict[str, dict[str, str]], hyperparameters: dict[str, str], reason: str
) -> None:
    job, record = train(jobs, channels, **hyperparameters)
    assert record["code"] == 1, job.output
    assert reason in record["failure"]
    assert "\n" not in record["failure"]
    assert not list((job.base / "model").iterdir())
