"""Scaling as typed: explain what was decided, replay a load against other settings."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from modelyard.domain.autoscaling import Autoscaling, Recommendation, Rule
from tests.unit.sdk.small_yard import THEN, SmallYard

Run = Callable[..., int]
Printed = pytest.CaptureFixture[str]

BURST = Recommendation(
    at=0.0,
    rule=Rule.BURST,
    current=1,
    requested=12,
    sentence="9 to 12 in flight at once, 1 a replica: 1 -> 12, raised at once for a burst",
    target_in_flight=1.0,
    min_replicas=1,
    max_replicas=16,
    capacity=100,
    average_in_flight=1.5,
    needed=1.5,
    lasting_in_flight=9.0,
    peak_in_flight=12.0,
    burst=12,
    recommended=12,
)
TRACE = "seconds,in_flight\n0,1\n60,12\n120,1\n600,0\n"


@pytest.fixture
def scaling(yard: SmallYard) -> SmallYard:
    yard.add_endpoint("price")
    yard.autoscaling = asdict(Autoscaling(max_replicas=16))
    yard.decisions = [{**asdict(BURST), "at": THEN, "rule": "burst"}]
    yard.loads = [
        {"at": 105.0, "seconds": 5.0, "in_flight": 1.0, "queued": 0.0, "arrivals": 100, "replicas": 1},
        {"at": 110.0, "seconds": 5.0, "in_flight": 4.0, "queued": 2.0, "arrivals": 400, "replicas": 4},
    ]
    return yard


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


@pytest.mark.usefixtures("scaling")
def test_explain_shows_the_terms_of_each_decision_and_the_newest_as_a_sentence(run: Run, capsys: Printed) -> None:
    assert run("explain", "price") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "price: 3 asked for, of 1 to 16"
    assert lines[2].split()[:4] == ["when", "replicas", "rule", "average"]
    assert lines[3].split()[1:] == ["1", "->", "12", "burst", "1.50", "1", "1.50", "9.00", "12", "12", "-", "16"]
    assert lines[-1] == BURST.sentence


@pytest.mark.usefixtures("scaling")
def test_explain_as_json_has_every_term(run: Run, capsys: Printed) -> None:
    assert run("explain", "price", "-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["decisions"][0]) == set(asdict(BURST))


def test_explain_says_where_nothing_scales(run: Run, scaling: SmallYard, capsys: Printed) -> None:
    scaling.autoscaling = None
    assert run("explain", "price") == 0
    assert "price: 3 asked for, always" in capsys.readouterr().out


def test_simulate_puts_changed_settings_beside_the_present_ones(run: Run, trace: Path, capsys: Printed) -> None:
    assert run("simulate", "--trace", str(trace), "--set", "max_replicas=16", "--set", "window=30s") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["present", "max_replicas=16,", "window=30s"]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["replica-hours", "most replicas"]
    assert lines[2].split()[-1] == "12"


def test_simulate_takes_load_and_settings_of_an_endpoint(run: Run, scaling: SmallYard, capsys: Printed) -> None:
    assert run("simulate", "--recorded", "price", "-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["max_replicas"] == 16
    assert document["settings"]["target_in_flight"] == 1.0
    assert document["present"]["wait_mean_seconds"] is not None
    assert document["changed"] is None
    scaling.loads = []
    assert run("simulate", "--recorded", "price") == 1
    assert "none was recorded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "cannot simulate without a load"),
        (("--trace", "nowhere.csv"), "cannot read nowhere.csv"),
        (("--trace", "TRACE", "--set", "window"), "cannot read --set window"),
        (("--trace", "TRACE", "--set", "windw=3"), "did you mean window?"),
        (("--trace", "TRACE", "--set", "window=soon"), "cannot set window to 'soon'"),
        (("--trace", "TRACE", "--set", "max_replicas=2", "--set", "min_replicas=3"), "cannot scale between 3 and 2"),
    ],
)
def test_simulate_refuses_what_it_cannot_use(
    run: Run, trace: Path, capsys: Printed, words: tuple[str, ...], said: str
) -> None:
    assert run("simulate", *(str(trace) if word == "TRACE" else word for word in words)) == 1
    assert said in capsys.readouterr().err
