"""The generalized ESD test against the example that Rosner (1983) published, which NIST's handbook prints whole."""

import numpy as np
import pytest
from modelyard_worker.algorithms.stl_esd import ABOVE, anomalies, critical, generalized_esd

ROSNER = [
    -0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65, 1.69, 1.70, 1.76,
    1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40, 2.47, 2.54,
    2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
]  # fmt: skip
"""Vitamin E in the blood of 54 patients; NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17.3."""

STATISTICS = [3.118, 2.942, 3.179, 2.810, 2.815, 2.848, 2.279, 2.310, 2.101, 2.067]
CRITICAL = [3.158, 3.151, 3.143, 3.136, 3.128, 3.120, 3.111, 3.103, 3.094, 3.085]


def test_statistics_and_critical_values_are_those_that_were_published():
    steps = generalized_esd(ROSNER, 10, 0.05)
    assert [step.statistic for step in steps] == pytest.approx(STATISTICS, abs=0.0015)
    assert [step.critical for step in steps] == pytest.approx(CRITICAL, abs=0.0015)


def test_three_outliers_are_found_though_the_first_two_steps_alone_find_none():
    steps = generalized_esd(ROSNER, 10, 0.05)
    assert sorted(ROSNER[place] for place in anomalies(steps)) == [5.34, 5.42, 6.01]
    assert anomalies(steps[:2]) == []


@pytest.mark.parametrize(
    ("count", "alpha", "expected"), [(25, 0.05, 2.82), (50, 0.05, 3.13), (25, 0.01, 3.14), (50, 0.01, 3.48)]
)
def test_the_first_critical_value_is_that_of_the_published_table(count, alpha, expected):
    assert critical(count, 1, alpha) == pytest.approx(expected, abs=0.006)


def test_values_without_spread_have_no_anomalies():
    assert generalized_esd(np.ones(20), 5, 0.05) == []
    assert anomalies([]) == []


def test_only_deviations_of_the_direction_asked_for_count():
    values = [*np.random.default_rng(1).normal(size=100), -30.0, 30.0]
    assert [values[place] for place in anomalies(generalized_esd(values, 5, 0.05, ABOVE))] == [30.0]
