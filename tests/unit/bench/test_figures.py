"""Figures are medians over rounds; ratios are taken within a round."""

import pytest

from bench.serving.figures import figures, ratios
from bench.serving.load import Load
from bench.serving.promises import Evidence, Verdict, judge


def load(server: str, rate: float, p50: float = 0.001, cpu: float = 10.0, errors: int = 0) -> Load:
    return Load("iris", server, 64, int(rate), rate, p50, 2 * p50, errors, {"server": cpu, "generator": 5.0})


def test_figures_are_medians_with_their_spread_and_all_errors() -> None:
    found = figures([load("ours", 100, errors=1), load("ours", 300), load("ours", 200, errors=2)])
    assert len(found) == 1
    assert found[0].requests_per_second == 200
    assert found[0].spread == (100, 300)
    assert found[0].errors == 3


def test_ratios_are_taken_within_a_round_so_that_a_slow_machine_changes_none() -> None:
    quiet, disturbed = 1.0, 0.1
    loads = [
        one for speed in (quiet, disturbed, quiet) for one in (load("ours", 900 * speed), load("peer", 1000 * speed))
    ]
    assert ratios(loads, "ours")[0].requests_per_second == pytest.approx(0.9)


def test_a_ratio_of_cpu_leaves_the_generator_out() -> None:
    loads = [load("ours", 100, cpu=30.0), load("peer", 100, cpu=20.0)]
    assert ratios(loads, "ours")[0].cpu == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("measured", "at_least", "kept"),
    [(0.8, True, True), (0.79, True, False), (0.8, False, True), (0.81, False, False)],
)
def test_a_verdict_keeps_its_bound_itself(measured: float, at_least: bool, kept: bool) -> None:
    assert Verdict("a promise", measured, 0.8, at_least).kept is kept


def test_a_peer_without_a_measurement_of_ours_has_no_ratio() -> None:
    assert ratios([load("peer", 100)], "ours") == []


def test_a_promise_whose_peer_was_not_measured_is_not_judged() -> None:
    loads = [load("modelyard", 120), load("constant", 100), load("litserve", 10)]
    found = judge(Evidence(figures(loads), ratios(loads, "modelyard"), [], [], []))
    assert {one.promise: one.kept for one in found} == {
        "iris, 64 connections: requests/s, of uvicorn's constant": True,
        "iris, 64 connections: requests/s, of the best framework": True,
    }


def test_the_best_framework_is_the_one_that_comes_nearest() -> None:
    loads = [load("modelyard", 120), load("litserve", 10), load("mlserver", 20)]
    found = judge(Evidence(figures(loads), ratios(loads, "modelyard"), [], [], []))
    assert [(one.measured, one.kept) for one in found] == [(pytest.approx(6.0), False)]
