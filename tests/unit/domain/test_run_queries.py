import pytest

from modelyard.domain.run_queries import differing, parse_field, parse_filter, select_runs, telling_metrics
from modelyard.errors import InvalidValue

RUNS = [
    {"id": "a-1", "status": "Completed", "metrics": {"rmse": 2.5, "ndcg@5": 0.9}, "hyperparameters": {"eta": "0.10"}},
    {"id": "a-2", "status": "Failed", "metrics": {}, "hyperparameters": {"eta": "0.1", "booster": "gbtree"}},
    {"id": "a-3", "status": "Completed", "metrics": {"rmse": 10.0}, "hyperparameters": {"eta": "0.3"}},
]


def chosen(text: str) -> list[str]:
    return [str(run["id"]) for run in select_runs(RUNS, parse_filter(text), None, descending=False)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("metrics.rmse < 3", ["a-1"]),
        ("metrics.rmse >= 2.5", ["a-1", "a-3"]),
        ("params.eta = 0.1", ["a-1", "a-2"]),
        ("params.eta = 0.1 and status = completed", ["a-1"]),
        ("params.booster != 'gblinear'", ["a-2"]),
        ("metrics.`ndcg@5` > 0.5 AND metric.rmse<3", ["a-1"]),
        ("metrics.unknown < 1", []),
    ],
)
def test_a_filter_means_runs_for_which_every_condition_holds(text: str, wanted: list[str]) -> None:
    assert chosen(text) == wanted


@pytest.mark.parametrize("text", ["", "rmse < 3", "metrics.rmse <", "metrics.rmse < 3 or status = Failed", "a b c"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="cannot"):
        parse_filter(text)


def test_an_order_counts_numbers_as_numbers_and_puts_runs_without_the_value_last() -> None:
    for descending, wanted in ((False, ["a-1", "a-3", "a-2"]), (True, ["a-3", "a-1", "a-2"])):
        found = select_runs(RUNS, [], parse_field("metrics.rmse"), descending=descending)
        assert [run["id"] for run in found] == wanted


def test_a_comparison_tells_what_differs_from_what_is_the_same() -> None:
    rows = differing([{"eta": "0.1", "depth": "3"}, {"eta": "0.2", "depth": "3"}])
    assert rows == [("depth", ["3", "3"], False), ("eta", ["0.1", "0.2"], True)]


def test_the_metrics_that_most_runs_have_tell_of_a_list() -> None:
    runs = [
        {"metrics": {"a": 1, "b": 1, "z": 1}},
        {"metrics": {"b": 1, "z": 1}},
        {"metrics": {"c": 1}},
        {"metrics": {}},
    ]
    assert [str(one) for one in telling_metrics(runs, 2)] == ["metrics.b", "metrics.z"]
    assert [str(one) for one in telling_metrics(runs, 3)] == ["metrics.a", "metrics.b", "metrics.z"]
    assert telling_metrics([{"metrics": {}}], 3) == []
