"""Commands as typed, against a small yard over real HTTP."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.version import VERSION
from tests.unit.sdk.small_yard import SmallYard

Run = Callable[..., int]
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "predictor.py").write_text("class Predictor: ...\n")
    (tmp_path / "train.csv").write_text("1,2\n")
    (tmp_path / "modelyard.yaml").write_text(
        "- {name: fit, kind: training, algorithm: xgboost, inputs: {train: train.csv}}\n"
        "- {name: price, predictor: {path: predictor.py}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_deploy_says_what_it_does_and_how_to_predict(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    assert run("deploy") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "creating price (endpoint)"
    assert lines[2].startswith("price is live")
    assert f"endpoint: {yard.url}/endpoints/price/invocations" in lines
    assert lines[-1].startswith(f"curl {yard.url}/endpoints/price/invocations -H")


def test_deploy_fails_when_an_endpoint_cannot_serve(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    yard.settles_as = "error"
    assert run("deploy") == 1
    assert "price: error: price is" in capsys.readouterr().out


def test_deploy_without_waiting_asks_for_nothing_more(run: Run, yard: SmallYard, project: Path) -> None:
    assert run("deploy", "--no-wait") == 0
    assert yard.requests[-1] == ("POST", "/api/v1/deployments")


def test_deploy_as_json_is_one_document(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    assert run("deploy", "-o", "json", "--project", "shop") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["project"] == "shop"
    assert document["endpoints"][0]["state"] == "live"


def test_a_bad_file_is_an_error_with_its_lines(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    (project / "modelyard.yaml").write_text("- name: price\n  modle: x\n")
    assert run("deploy") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "modelyard.yaml:2: price.modle: unknown field; did you mean model?" in printed.err
    assert "hint: nothing was changed" in printed.err


def test_get_lists_endpoints_in_cortexs_columns(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    assert run("get") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split("   ")[0].strip() == "endpoint"
    assert [word for word in ("status", "ready/requested", "up-to-date", "last update") if word in header]
    assert row.split()[:4] == ["price", "live", "1/1", "1"]


def test_get_shows_one_endpoint_with_its_versions(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    assert run("get", "endpoint/PRICE") == 0
    out = capsys.readouterr().out
    assert "price is live" in out
    assert "version   state" in out


def test_history_says_how_versions_came_about_and_where_a_rollback_goes(
    run: Run, yard: SmallYard, capsys: Printed
) -> None:
    yard.add_endpoint("price", 2)
    assert run("history", "price") == 0
    header, row, *_, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["version", "state", "model", "when", "cause", "by", "reason"]
    assert row.split()[:2] == ["2", "serving"]
    assert row.split()[4:6] == ["deploy", "ada@desk"]
    assert last == "`modelyard rollback price` goes back to version 1"


def test_rollback_names_the_version_that_it_goes_to(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price", 2)
    assert run("rollback", "price") == 0
    assert "rolling back price (endpoint) as version 3" in capsys.readouterr().out
    assert run("history", "price") == 0
    assert "rollback to 1" in capsys.readouterr().out


def test_refresh_waits_until_the_new_replicas_serve(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    assert run("refresh", "price") == 0
    assert "price is live" in capsys.readouterr().out
    yard.settles_as = "error"
    assert run("refresh", "price") == 1


def test_logs_asks_for_what_was_chosen(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    yard.add_run("fit-1", "fit")
    assert run("logs", "price", "--level", "warning", "--since", "10m", "--request", "abc", "-n", "5") == 0
    assert yard.requests[-1] == ("GET", "/api/v1/endpoints/price/logs")
    assert yard.queries[-1].items() >= {"level": "WARNING", "since": "10m", "request": "abc", "lines": "5"}.items()
    assert run("logs", "fit-1", "--level", "warning") == 1
    assert "whose lines have no stamps" in capsys.readouterr().err


def test_get_names_the_nearest_of_an_unknown_name(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    assert run("get", "prise") == 1
    assert "did you mean price?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "sent_type"), [("[[1, 2]]", "application/json"), ("-1.5e-02,2", "text/csv"), ("@train.csv", "text/csv")]
)
def test_predict_sends_data_as_what_it_is(
    run: Run, yard: SmallYard, project: Path, capsys: Printed, data: str, sent_type: str
) -> None:
    yard.add_endpoint("price")
    assert run("predict", "price", data) == 0
    assert yard.predictions[0][1] == sent_type
    assert json.loads(capsys.readouterr().out) == {"rows": len(yard.predictions[0][0])}


def test_predict_reads_standard_input(run: Run, yard: SmallYard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.add_endpoint("price")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert run("predict", "price", "-") == 0
    assert yard.predictions == [(b"[1]", "application/json")]


def test_train_shows_the_log_and_how_it_ended(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    assert run("train") == 0
    out = capsys.readouterr().out
    assert out.startswith("one\ntwo\n")
    assert "fit-1: Completed after 5.0s" in out
    assert "registered price:1" in out


def test_train_fails_when_the_run_did(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    yard.run_ends_as = "Failed"
    assert run("train", "fit") == 1


def test_train_as_json_keeps_the_log_apart(run: Run, yard: SmallYard, project: Path, capsys: Printed) -> None:
    assert run("train", "-o", "json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["id"] == "fit-1"
    assert "one\ntwo\n" in printed.err


def test_a_run_is_shown_with_what_made_it(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_run("fit-1", "fit").update(
        {
            "entry": "train.py",
            "code": "ab" * 32,
            "git_commit": "c0ffee",
            "inputs": {"train": "cd" * 32},
            "sources": {"train": "dvc:data/train.csv@v1"},
            "hyperparameters": {"eta": "0.1"},
        }
    )
    assert run("runs", "fit-1") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in ("code " + "ab" * 6, "commit c0ffee", "hyperparameter eta 0.1", "entry train.py"):
        assert line.split() in lines
    assert ["input", "train", "cd" * 6, "from", "dvc:data/train.csv@v1"] in lines


def test_logs_of_a_training_are_those_of_its_newest_run(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_run("fit-1", "fit")
    assert run("logs", "fit") == 0
    assert yard.requests[-1] == ("GET", "/api/v1/runs/fit-1/logs")
    assert capsys.readouterr().out == "one\ntwo\n"


def test_delete_asks_which_where_a_name_means_two_things(run: Run, yard: SmallYard, capsys: Printed) -> None:
    yard.add_endpoint("price")
    yard.add_model("price", "tree", None)
    assert run("delete", "price") == 1
    assert "say endpoint/price or model/price" in capsys.readouterr().err
    assert run("delete", "endpoint/price") == 0
    assert run("delete", "price") == 0
    assert not yard.endpoints
    assert not yard.models


@pytest.mark.parametrize(
    "words",
    [
        ("get",),
        ("get", "price"),
        ("status",),
        ("runs",),
        ("runs", "fit-1"),
        ("models",),
        ("models", "price"),
        ("stop", "fit-1"),
        ("open", "--no-browser"),
        ("version",),
        ("predict", "price", "[1]"),
    ],
)
def test_every_verb_answers_json(run: Run, yard: SmallYard, capsys: Printed, words: tuple[str, ...]) -> None:
    yard.add_endpoint("price")
    yard.add_model("price", "tree", "xgboost")
    yard.add_run("fit-1", "fit")
    assert run(*words, "-o", "json") == 0
    json.loads(capsys.readouterr().out)
    assert run(*words) == 0
    assert capsys.readouterr().out


def test_register_says_what_became_of_the_file(run: Run, yard: SmallYard, tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "m.json").write_text('{"learner": {}}')
    assert run("register", "price", str(tmp_path / "m.json")) == 0
    assert capsys.readouterr().out == "registered price:1 (xgboost, 10 B)\n"


@pytest.mark.parametrize(
    "words", [("gett",), ("get", "--nothing"), ("up", "--port", "x"), ("predict",), ("predict", "price", "--nothing")]
)
def test_wrong_usage_is_exit_code_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words) == 2


def test_without_a_yard_the_remedy_is_told_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Printed
) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    assert run("get") == 1
    printed = capsys.readouterr()
    assert "modelyard up" in printed.err
    assert "Traceback" not in printed.err


def test_debug_shows_where_it_was(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    with pytest.raises(Exception, match="cannot find a yard"):
        run("--debug", "get")


def test_down_without_a_yard_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Printed
) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    assert run("down") == 0
    assert "no yard runs" in capsys.readouterr().out


def test_doctor_finds_a_home_that_others_can_read(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Printed
) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    run("doctor")
    capsys.readouterr()
    (tmp_path / "home" / "key").write_text("x")
    (tmp_path / "home" / "key").chmod(0o644)
    assert run("doctor", "-o", "json") == 1
    findings = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert findings["key"]["verdict"] == "bad"
    assert findings["key"]["remedy"].startswith("chmod 600")
    assert findings["fork"]["verdict"] == "good"


def test_the_version_is_said_by_the_option_as_by_the_verb(run: Run, capsys: Printed) -> None:
    assert run("--version") == run("version") == 0
    assert capsys.readouterr().out == f"{VERSION}\n" * 2
