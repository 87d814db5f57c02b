"""Metrics in what a job prints: found once each, whatever pieces, rotations and kills lie between."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker import log_metrics
from modelyard_worker.log_metrics import Reader, compiled, found_in

from modelyard.store.rotation import rotate

LOSS = {"loss": compiled("loss", r"loss=([0-9.eE+-]+)")}


def values(metrics: Path) -> list[float]:
    return [json.loads(line)["value"] for line in metrics.read_text().splitlines()] if metrics.exists() else []


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def add(output: Path, text: str) -> None:
    with output.open("a") as file:
        file.write(text)


def reader(output: Path, metrics: Path) -> Reader:
    return Reader(str(output), str(metrics), LOSS)


@pytest.mark.parametrize(
    ("expression", "line", "found"),
    [
        (r"loss=([0-9.]+)", "loss=0.5 then loss=0.25", [("m", 0.5, None), ("m", 0.25, None)]),
        (r"epoch (?P<step>\d+).*rmse: (\S+)", "epoch 3 rmse: 1e-3", [("m", 0.001, 3)]),
        (r"(?P<value>\d+)% of (\d+)", "40% of 90", [("m", 40.0, None)]),
        (r"(?:a=(\d+)|b=(\d+))", "b=7 a=8", [("m", 7.0, None), ("m", 8.0, None)]),
        (r"score (\S+)", "score high", []),
        (r"score (\d+)?", "score ", []),
    ],
)
def test_an_expressions_first_group_is_the_value(
    expression: str, line: str, found: list[tuple[str, float, int | None]]
) -> None:
    assert found_in(line, {"m": compiled("m", expression)}) == found


@pytest.mark.parametrize(
    ("name", "expression", "said"),
    [
        ("m", "loss=[0-9", "no regular expression: unterminated character set at character 6"),
        ("m", "loss=1", "no group"),
        ("m", r"(?P<step>\d+)", "no group"),
        ("m", "(" + "x" * 500 + ")", "1 to 500 characters"),
        ("", "(x)", "name"),
    ],
)
def test_an_expression_that_can_find_nothing_is_refused(name: str, expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compiled(name, expression)


def test_a_line_counts_when_it_has_ended_or_its_job_has(output: Path, metrics: Path) -> None:
    one = reader(output, metrics)
    add(output, "loss=1\rloss=2\nloss=3")
    one.look()
    assert values(metrics) == [1.0, 2.0]
    add(output, "5")
    one.look(ended=True)
    assert values(metrics) == [1.0, 2.0, 35.0]


def test_a_reader_that_follows_a_killed_one_finds_nothing_twice(output: Path, metrics: Path) -> None:
    add(output, "loss=1\nloss=2\n")
    reader(output, metrics).look()
    add(output, "loss=3\n")
    reader(output, metrics).look()
    assert values(metrics) == [1.0, 2.0, 3.0]


def test_what_was_not_read_before_a_rotation_is_read_after_it(output: Path, metrics: Path) -> None:
    one = reader(output, metrics)
    add(output, "loss=1\n")
    one.look()
    add(output, "loss=2\n")
    assert rotate(output, 0)
    add(output, "loss=3\n")
    one.look()
    reader(output, metrics).look()
    assert values(metrics) == [1.0, 2.0, 3.0]


def test_beyond_the_bound_the_last_value_of_a_piece_is_kept(
    output: Path, metrics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_metrics, "POINTS_MAX", 3)
    one = reader(output, metrics)
    add(output, "loss=1\nloss=2\n")
    one.look()
    add(output, "loss=3\nloss=4\nloss=5\n")
    one.look()
    assert values(metrics) == [1.0, 2.0, 5.0]


def test_a_line_without_end_is_bounded_and_what_follows_is_found(output: Path, metrics: Path) -> None:
    one = reader(output, metrics)
    add(output, "x" * 1_000_000)
    one.look()
    add(output, "\nloss=4\n")
    one.look()
    assert values(metrics) == [4.0]


@given(
    texts=st.lists(st.sampled_from(["loss=1", "loss=2\n", "3\n", "\r", "noise ", "loss=4\r\n"]), max_size=30),
    piece_bytes=st.integers(min_value=8, max_value=64),
)
def test_however_an_output_grows_the_same_is_found_as_in_the_whole(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], piece_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    output, metrics = folder / "output.log", folder / "metrics.jsonl"
    whole = "".join(texts)
    lines = max((len(line) for line in whole.splitlines()), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_metrics, "PIECE_BYTES_MAX", max(piece_bytes, lines + 2))
        one = reader(output, metrics)
        for place, text in enumerate(texts):
            add(output, text)
            if place % 3 == 0:
                one = reader(output, metrics)
            one.look()
        one.look(ended=True)
    assert values(metrics) == [value for line in whole.splitlines() for _, value, _ in found_in(line, LOSS)]
