from bench.serving import work
from bench.serving.alone import ALONE, call_alone
from bench.serving.cases import CASES_BY_NAME
from bench.serving.figures import ratios


def test_the_work_alone_counts_the_rows_of_full_calls_and_never_more_than_the_case_says(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "BATCH_SECONDS", 0.002)
    few, many = (call_alone(CASES_BY_NAME["batch"], tmp_path, count, 0.02) for count in (4, 64))
    assert few.requests % 4 == 0
    assert many.requests % work.BATCH_ROWS_MAX == 0
    assert many.requests_per_second <= work.BATCH_ROWS_MAX / 0.002
    assert many.p50_seconds >= 0.002


def test_a_server_is_compared_with_the_work_alone_as_with_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "BATCH_SECONDS", 0.001)
    alone = call_alone(CASES_BY_NAME["batch"], tmp_path, 64, 0.0)
    ours = alone.__class__("batch", "ours", 64, 1, alone.requests_per_second / 2, 1.0, 1.0, 0, {})
    (found,) = ratios([ours, alone], "ours")
    assert found.peer == ALONE
    assert found.requests_per_second == 0.5
