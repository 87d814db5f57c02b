"""MLflow's server behind a yard: killed while runs go on, looked at by a browser, and one that is somebody else's."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.browser import enter
from tests.acceptance.conftest import a_yard, browser, page
from tests.acceptance.yard import Yard, eventually
from tests.guests import mlflow_stories as stories

pytestmark = [pytest.mark.environments, pytest.mark.timeout(stories.STORY_SECONDS)]

__all__ = ["browser", "page"]
"""Fixtures: pytest finds them by their names here."""

PAGE_MILLISECONDS = 60_000
"""How long MLflow's pages, megabytes of scripts, may take on a busy machine."""

PART = 20
"""Values that the script prints before it waits to be let go on."""

PRINTS = f"""
import os, pathlib, time
for part in range(3):
    for place in range({PART}):
        step = part * {PART} + place
        print(f"step {{step}} loss={{1 / (1 + step):.6f}}", flush=True)
    while not pathlib.Path(os.environ["GO"], str(part)).exists():
        time.sleep(0.02)
"""

WANTED = [(step, pytest.approx(1 / (1 + step), abs=1e-5)) for step in range(3 * PART)]


class Printing:
    """A run that prints a part of its losses whenever it may."""

    def __init__(self, yard: Yard, name: str, folder: Path) -> None:
        (folder / "train.py").write_text(PRINTS)
        self._go = folder / "go"
        self._go.mkdir()
        self._yard = yard
        self.id = yard.client().train(
            name,
            entry="train.py",
            source=folder,
            hyperparameters={"eta": 0.1},
            environment={"GO": str(self._go)},
            log_metrics={"loss": r"step (?P<step>\d+) loss=(\S+)"},
        )["id"]

    def go_on(self, part: int) -> None:
        (self._go / str(part)).touch()

    def end(self) -> None:
        ended = self._yard.client().wait_run(self.id)
        assert (ended["status"], ended["metrics"]) == ("Completed", {"loss": pytest.approx(1 / 60, abs=1e-5)})


@pytest.fixture(scope="module")
def tracked() -> Iterator[Yard]:
    yield from stories.a_tracked_yard()


def test_a_server_that_is_killed_again_and_again_has_every_value_in_the_end(tracked: Yard, tmp_path: Path) -> None:
    run = Printing(tracked, "killed", tmp_path)
    eventually(lambda: stories.history(tracked, run.id, "loss") == WANTED[:PART], stories.STORY_SECONDS)
    tracked.kill("mlflow")
    run.go_on(0)
    eventually(lambda: stories.history(tracked, run.id, "loss") == WANTED[: 2 * PART])
    tracked.kill("mlflow")
    run.go_on(1)
    run.go_on(2)
    run.end()
    there = stories.ended_there(tracked, run.id)
    assert there["status"] == "FINISHED"
    assert stories.history(tracked, run.id, "loss") == WANTED
    assert there["params"] == {"eta": "0.1"}


def test_what_a_built_in_algorithm_reaches_is_there_while_it_goes_on(tracked: Yard, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("".join(f"{row % 7},{row},{row % 5}\n" for row in range(200)))
    run = tracked.client().train(
        "builtin",
        algorithm="xgboost",
        inputs={"train": tmp_path / "data.csv"},
        hyperparameters={"num_round": 1_000_000, "objective": "reg:squarederror"},
    )["id"]
    eventually(lambda: len(stories.history(tracked, run, "train-rmse")) > PART, stories.STORY_SECONDS)
    there = stories.run_there(tracked, run)
    assert (there["status"], there["params"]["num_round"]) == ("RUNNING", "1000000")
    tracked.client().stop_run(run)
    assert stories.ended_there(tracked, run)["status"] == "KILLED"


def test_a_browser_that_the_yard_lets_in_sees_mlflows_own_pages(tracked: Yard, page: Page, tmp_path: Path) -> None:
    run = Printing(tracked, "looked-at", tmp_path)
    for part in range(3):
        run.go_on(part)
    run.end()
    eventually(lambda: stories.run_there(tracked, run.id), stories.STORY_SECONDS)
    assert page.request.get(f"{tracked.url}/mlflow/", headers={"accept": "*/*"}).status == 401
    enter(page, tracked, "/mlflow/#/experiments")
    expect(page.get_by_role("link", name="looked-at")).to_be_visible(timeout=PAGE_MILLISECONDS)
    found = stories.asked(tracked, "experiments/get-by-name", experiment_name="looked-at")
    experiment = f"{tracked.url}/mlflow/#/experiments/{found['experiment']['experiment_id']}"
    page.goto(f"{experiment}/runs")
    expect(page.get_by_role("link", name=run.id)).to_be_visible(timeout=PAGE_MILLISECONDS)
    page.goto(f"{experiment}/runs/{run.id}/model-metrics")
    expect(page.get_by_text("loss", exact=True).first).to_be_visible(timeout=PAGE_MILLISECONDS)


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


@pytest.fixture
def elsewhere(tracked: Yard, tmp_path: Path) -> Iterator[str]:
    """MLflow's own server, as its own command starts it, with nothing of a yard."""
    stories.asked(tracked, "experiments/get-by-name", experiment_name="Default")
    python = next((tracked.home / "mlflow" / "environments").glob("*/bin/python"))
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path)]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "mlflow", *words], stdout=log, stderr=log, start_new_session=True, cwd=tmp_path
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def test_a_server_elsewhere_is_told_of_runs_and_the_door_hands_on_to_it(
    elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_MLFLOW_URL", elsewhere)
    with a_yard() as yard:
        run = Printing(yard, "told", tmp_path)
        for part in range(3):
            run.go_on(part)
        run.end()
        experiment = eventually(
            lambda: stories.asked(yard, "experiments/get-by-name", experiment_name="told")["experiment"],
            stories.STORY_SECONDS,
        )
        there = eventually(lambda: stories.runs_of(yard, experiment["experiment_id"], "FINISHED"))
        assert [one["data"]["params"] for one in there] == [[{"key": "eta", "value": "0.1"}]]
        assert stories.history(yard, there[0]["info"]["run_id"], "loss") == WANTED
        assert not (yard.home / "mlflow" / "wanted").exists(), "no server of the yard's own was started"
