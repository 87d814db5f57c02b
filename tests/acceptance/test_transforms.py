"""A transform is scored once, whole and in order, whoever is killed meanwhile."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.records import is_alive

from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually, kill

pytestmark = pytest.mark.acceptance

SLOW = """
import time

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        time.sleep(0.001)
        return payload["x"] + 1
"""

ROWS = 2500


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A yard with an endpoint that takes its time over each row."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(SLOW)
    (folder / "modelyard.yaml").write_text("- name: slow\n  predictor: {path: predictor.py, config: {}}\n")
    with a_yard() as yard:
        yard.client().deploy(folder, project="shop")
        yield yard


class Under:
    """A transform that is under way: some of its rows are scored, and not all."""

    def __init__(self, yard: Yard, folder: Path, name: str, rows: int = ROWS) -> None:
        self.yard = yard
        self.output = folder / "out"
        source = folder / "rows.jsonl"
        source.write_text("".join(f'{{"x": {number}}}\n' for number in range(rows)))
        # Small pieces, so that there is something between the first and the last of them.
        options: dict[str, Any] = {
            "strategy": "SingleRecord",
            "split": "Line",
            "content_type": "application/json",
            "processes": 1,
        }
        view = yard.client().transform(
            "endpoint/slow", source, self.output, name=name, project="shop", max_payload_mb=500 / 2**20, **options
        )
        self.id = view.id
        eventually(lambda: 100 < self.records() < rows, saying="some rows")

    def view(self) -> dict[str, Any]:
        return asdict(self.yard.client().get_transform(self.id))

    def records(self) -> int:
        return int((self.view()["progress"] or {"records": 0})["records"])

    def assert_scored_once(self, attempts: int) -> None:
        ended = self.yard.client().wait_transform(self.id, limit_seconds=60)
        assert (ended.status, ended.attempts) == ("Completed", attempts), ended.failure_reason
        written = [json.loads(line) for line in (self.output / "rows.jsonl.out").read_text().splitlines()]
        assert written == [number + 1 for number in range(ROWS)]
        assert [one.name for one in self.output.iterdir()] == ["rows.jsonl.out"]


def test_killing_its_job_costs_a_second_of_work_and_no_row(scoring: Yard, tmp_path: Path) -> None:
    under = Under(scoring, tmp_path, "killed")
    eventually(lambda: (scoring.home / "transforms" / under.id / "journal.jsonl").stat().st_size > 0)
    kill(scoring.engine_process("jobs", f"{under.id}.1"))
    under.assert_scored_once(attempts=2)
    assert "scored" in "".join(scoring.client().transform_logs(under.id))


def test_killing_the_controller_does_not_disturb_it(scoring: Yard, tmp_path: Path) -> None:
    under = Under(scoring, tmp_path, "uncontrolled")
    scoring.kill("controller")
    under.assert_scored_once(attempts=1)


def test_a_yard_that_goes_down_and_comes_up_goes_on_with_it(scoring: Yard, tmp_path: Path) -> None:
    under = Under(scoring, tmp_path, "down")
    process = scoring.engine_process("jobs", f"{under.id}.1")
    assert scoring.down() == 0
    assert not is_alive(process)
    scoring.up()
    under.assert_scored_once(attempts=2)


def test_a_yard_of_which_everything_is_killed_goes_on_with_it(scoring: Yard, tmp_path: Path) -> None:
    under = Under(scoring, tmp_path, "killed")
    scoring.kill("supervisor")
    for process in scoring.everything_alive():
        process.kill()
    scoring.up()
    under.assert_scored_once(attempts=2)


def test_a_stop_is_heard_at_once_and_leaves_nothing_half_done(scoring: Yard, tmp_path: Path) -> None:
    # So many that it is not done before the command has started, however slow the machine.
    under = Under(scoring, tmp_path, "stopped", rows=40 * ROWS)
    done = scoring.command("stop", f"transform/{under.id}", "-o", "json")
    assert json.loads(done.stdout)["status"] == "Stopped", done.stderr
    assert list(under.output.iterdir()) == []


def test_the_command_shows_how_far_it_came_and_where_the_rows_are(scoring: Yard, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n{"y": 2}\n')
    (tmp_path / "good.jsonl").write_text('{"x": 1}\n')
    done = scoring.command("transform", "endpoint/slow", str(tmp_path), str(tmp_path / "out"), "--retries", "0")
    assert done.returncode == 1
    assert "rows.jsonl, record 2: KeyError: 'x'" in done.stdout
    assert "1 of 2 objects" in done.stdout
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["good.jsonl.out"]
    listed = json.loads(scoring.command("transforms", "-o", "json").stdout)["transforms"]
    assert listed[0]["status"] == "Failed"
