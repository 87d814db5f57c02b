"""Built-in algorithms beside XGBoost, as jobs, and what they leave as models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard_worker.loaders import LoadFailed, loader_for, loader_named
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression

from tests.contract.job.job_harness import Job, Jobs


def table(*columns: Any) -> str:
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in np.column_stack(columns))


def train(jobs: Jobs, algorithm: str, channels: dict[str, str], kind: str | None = None, **values: str) -> Job:
    job = jobs.start(
        "",
        algorithm=algorithm,
        channels={name: {f"{name}.csv": text} for name, text in channels.items()},
        content_types=dict.fromkeys(channels, kind) if kind else None,
        hyperparameters=values,
    )
    job.end()
    return job


def learnt(job: Job) -> tuple[dict[str, float], Any, Any]:
    """Metrics, loader and model of a job that ended well."""
    record = job.end()
    assert record["code"] == 0, job.output
    loader = loader_for(str(job.base / "model"))
    return record["metrics"], loader, loader.load(str(job.base / "model"))


def test_a_linear_regression_finds_the_weights_and_measures_on_validation(jobs: Jobs) -> None:
    features, labels = load_diabetes(return_X_y=True)
    channels = {"train": table(labels[:300], features[:300]), "validation": table(labels[300:], features[300:])}
    metrics, loader, model = learnt(train(jobs, "linear-learner", channels))
    predicted = loader.predict(model, features[300:])
    assert loader.features(model) == 10
    assert metrics["validation-rmse"] == pytest.approx(np.sqrt(np.mean((predicted - labels[300:]) ** 2)), rel=1e-4)
    assert metrics["validation-rmse"] < np.std(labels[300:])


def test_a_missing_value_counts_as_the_mean_of_its_column(jobs: Jobs) -> None:
    rows = "".join(f"{2 * value},{value}\n" for value in range(10)) + "9,\n"
    _, loader, model = learnt(train(jobs, "linear-learner", {"train": rows}, wd="0"))
    assert loader.predict(model, np.array([[np.nan], [4.5], [7.0]])) == pytest.approx([9.0, 9.0, 14.0])


@pytest.mark.parametrize("l1", ["0", "0.001"])
def test_classes_are_told_by_score_and_label_as_sagemaker_has_them(jobs: Jobs, l1: str) -> None:
    features, labels = load_iris(return_X_y=True)
    values = {"predictor_type": "multiclass_classifier", "wd": "0.001", "l1": l1, "epochs": "5000"}
    metrics, loader, model = learnt(train(jobs, "linear-learner", {"train": table(labels, features)}, **values))
    answer = loader.predict(model, features)
    assert answer["score"].shape == (150, 3)
    assert answer["score"].sum(axis=1) == pytest.approx(np.ones(150))
    assert np.mean(answer["predicted_label"] == labels) == pytest.approx(metrics["train-accuracy"])
    assert metrics["train-accuracy"] > 0.95


def test_two_classes_score_as_logistic_regression_does(jobs: Jobs) -> None:
    features, labels = load_iris(return_X_y=True)
    features, labels = features[labels > 0][:, :2], labels[labels > 0] - 1
    values = {"predictor_type": "binary_classifier", "wd": "0.01", "normalize_data": "false"}
    _, loader, model = learnt(train(jobs, "linear-learner", {"train": table(labels, features)}, **values))
    expected = LogisticRegression(C=1 / (0.01 * len(labels)), max_iter=1000).fit(features, labels)
    assert loader.predict(model, features)["score"] == pytest.approx(expected.predict_proba(features)[:, 1], abs=1e-3)


def test_an_isolation_forest_scores_as_the_library_does(jobs: Jobs) -> None:
    rows = np.random.default_rng(7).normal(size=(400, 3)).astype(np.float32)
    rows[:8] += 6
    truth = np.arange(400) < 8
    metrics, loader, model = learnt(
        train(jobs, "isolation-forest", {"train": table(truth, rows)}, "text/csv;label_size=1", contamination="0.02")
    )
    expected = IsolationForest(n_estimators=100, random_state=0).fit(rows)
    answer = loader.predict(model, rows.astype(np.float64))
    assert answer["score"] == pytest.approx(-expected.score_samples(rows), abs=1e-6)
    assert answer["anomaly"].tolist() == truth.astype(int).tolist()
    assert (metrics["train-f1"], metrics["train-auc"]) == (1.0, 1.0)


def test_dbscan_gives_rows_the_clusters_and_the_noise_that_the_library_gives_them(jobs: Jobs) -> None:
    random = np.random.default_rng(3)
    rows = np.concatenate([random.normal(0, 0.3, (100, 2)), random.normal(5, 0.3, (100, 2)), [[2.5, 2.5], [9, 0]]])
    values = {"eps": "0.5", "min_samples": "5", "normalize_data": "false"}
    metrics, loader, model = learnt(train(jobs, "dbscan", {"train": table(rows)}, **values))
    expected = DBSCAN(eps=0.5, min_samples=5).fit(rows).labels_
    found = loader.predict(model, rows)
    assert ((found < 0) == (expected < 0)).all()
    assert [set(expected[found == cluster]) for cluster in (0, 1)] == [{0}, {1}]
    assert (metrics["clusters"], metrics["train-anomalies"]) == (2.0, float((expected < 0).sum()))


def test_dbscan_chooses_how_near_is_near_by_itself(jobs: Jobs) -> None:
    random = np.random.default_rng(3)
    rows = np.concatenate([random.normal(0, 0.3, (200, 2)), random.normal(5, 0.3, (200, 2)), [[2.5, 2.5]]])
    metrics, loader, model = learnt(train(jobs, "dbscan", {"train": table(rows)}))
    assert metrics["clusters"] == 2
    assert loader.predict(model, rows[-1:]).tolist() == [-1]


@pytest.mark.parametrize(
    ("algorithm", "kind", "text", "values", "reason"),
    [
        ("linear-learner", None, "1,2\n", {"epoch": "3"}, "cannot use hyperparameter epoch: unknown; did you mean"),
        ("linear-learner", None, "1,2\n", {"wd": "-1"}, "cannot use hyperparameter wd='-1': it must be a number from"),
        ("linear-learner", None, "5,2\n0,1\n", {"predictor_type": "binary_classifier"}, "whole labels from 0 to 1"),
        ("linear-learner", "text/csv;label_size=0", "1,2\n", {}, "label_size must be 1"),
        ("isolation-forest", None, "1,\n2,3\n", {}, "has empty cells"),
        ("dbscan", None, "1\n5\n9\n", {"eps": "0.01"}, "raise eps"),
        ("dbscan", "text/csv;weights=1", "1,1,1\n", {}, "rows have weights only where they have labels"),
        ("stl-esd", None, "1\n2\n", {}, "hyperparameter period is needed"),
    ],
)  # fmt: skip
def test_what_the_user_must_change_is_the_reason_in_one_sentence(
    jobs: Jobs, algorithm: str, kind: str | None, text: str, values: dict[str, str], reason: str
) -> None:
    job = train(jobs, algorithm, {"train": text}, kind, **values)
    record = job.end()
    assert record["code"] == 1, job.output
    assert reason in record["failure"]
    assert "\n" not in record["failure"]
    assert not list((job.base / "model").iterdir())


def test_a_file_of_pickled_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.mym"
    with path.open("wb") as file:
        np.savez(file, algorithm=np.array([{"a": 1}], dtype=object))
    with pytest.raises(LoadFailed, match="allow_pickle"):
        loader_named("builtin").load(str(path))
