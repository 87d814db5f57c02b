"""`compare`: what it is given decides whether runs or versions of models are meant."""

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.sdk.small_yard import SmallYard

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def runs(yard: SmallYard) -> list[str]:
    """Two runs that differ in one hyperparameter."""
    for number, eta in enumerate(("0.1", "0.3"), 1):
        yard.add_run(f"fit-{number}", "fit")["hyperparameters"] = {"eta": eta, "max_depth": "3"}
    return list(yard.runs)


def test_runs_are_compared_by_what_differs(run: Run, runs: list[str], capsys: Printed) -> None:
    first, second = runs
    assert run("compare", first, f"run/{second}") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["parameter", first, second] in lines
    assert ["eta", "0.1", "0.3"] in lines


def test_runs_of_other_code_are_told_apart(run: Run, yard: SmallYard, runs: list[str], capsys: Printed) -> None:
    for name, commit in zip(runs, ("c0ffee", "decade"), strict=True):
        yard.runs[name] |= {"entry": "train.py", "code": "ab" * 32, "git_commit": commit}
    assert run("compare", *runs) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["commit", "c0ffee", "decade"] in lines
    assert not any(line[:1] == ["code"] for line in lines)


def test_a_run_is_not_compared_with_a_model(run: Run, runs: list[str], capsys: Printed) -> None:
    assert run("compare", runs[0], "price:3") == 1
    assert "price:3: that is no run" in capsys.readouterr().err


def test_one_thing_is_compared_with_nothing(run: Run, yard: SmallYard, capsys: Printed) -> None:
    assert run("compare", "price:3") == 1
    assert "cannot compare price:3 with nothing" in capsys.readouterr().err
