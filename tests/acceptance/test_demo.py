"""The demo, as a newcomer runs it: from a copy of the example, with a home of its own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-train-and-deploy"
DEMO_SECONDS_MAX = 90

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(4 * DEMO_SECONDS_MAX)]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the example in a checkout of its own; the yard that the demo leaves there is stopped at the end."""
    checkout = tmp_path_factory.mktemp("checkout")
    copy = checkout / "examples" / EXAMPLE.name
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("data", "__pycache__"))
    yield copy
    environment = {**os.environ, "MODELYARD_HOME": str(checkout / ".demo")}
    command = Path(sys.executable).with_name("modelyard")
    subprocess.run([command, "down"], env=environment, check=True, timeout=DEMO_SECONDS_MAX)


def run_demo(example: Path, **variables: str) -> str:
    ended = subprocess.run(
        [sys.executable, example / "demo.py"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def pasted_answer(output: str) -> list[float]:
    """What the printed curl line answers, sent as curl would send it."""
    line = next(line for line in output.splitlines() if line.startswith("curl "))
    _, _, header, _, body, url = shlex.split(line)
    name, _, value = header.partition(": ")
    return httpx.post(url, content=body, headers={name: value}).raise_for_status().json()


@pytest.fixture(scope="module")
def first(example: Path) -> str:
    return run_demo(example)


def test_the_demo_predicts_better_than_the_mean(first: str) -> None:
    ours, baseline = (float(line.split(": ")[1]) for line in first.splitlines() if ": " in line and _is_error(line))
    assert ours < 0.85 * baseline


def _is_error(line: str) -> bool:
    return line.strip().startswith(("root mean squared error", "saying the training rows' mean"))


def test_the_demo_prints_a_curl_line_that_predicts_when_pasted(first: str) -> None:
    answer = pasted_answer(first)
    assert len(answer) == 1
    assert 0 < answer[0] < 400


def test_the_demo_prints_an_export_line_that_points_the_command_line_at_its_yard(example: Path, first: str) -> None:
    line = next(line for line in first.splitlines() if line.startswith("export MODELYARD_HOME="))
    home = shlex.split(line)[1].partition("=")[2]
    assert home == str(example.parents[1] / ".demo")
    command = Path(sys.executable).with_name("modelyard")
    environment = {**os.environ, "MODELYARD_HOME": home}
    models = subprocess.run(
        [command, "models", "-o", "json"], env=environment, capture_output=True, text=True, check=True
    )
    assert "diabetes" in models.stdout


def test_running_the_demo_again_registers_the_next_version_and_serves_it(first: str, example: Path) -> None:
    second = run_demo(example)
    assert "diabetes:2" in second
    assert pasted_answer(second)


def test_the_demo_learns_a_table_of_ones_own_beside_the_first(first: str, example: Path, tmp_path: Path) -> None:
    table = tmp_path / "houses.csv"
    rows = [f"{20 * rooms + 5 * (rooms % 2)},{rooms},{'north' if rooms % 2 else 'south'}" for rooms in range(60)]
    table.write_text("\n".join(["Price,rooms,side", *rows]))
    output = run_demo(example, DATA=str(table), TARGET="Price")
    assert "/endpoints/price/invocations" in output
    assert pasted_answer(output)
    assert pasted_answer(first)


@pytest.mark.parametrize(
    ("table", "target", "message"),
    [
        ("a,b\n" + "1,2\n" * 30, "c", "cannot find column 'c'"),
        ("a,b\n" + "1,2\n" * 5, "a", "cannot split"),
        ("a,b\n" + "1,2\n" * 20 + "one,2\n", "a", "line 22"),
        ("a,b\n" + "".join(f"{n},word{n}\n" for n in range(30)), "a", "cannot use column 'b'"),
        ("1,2\n" * 30, "1", "has numbers"),
        ("a,b\n" + "1,2\n" * 20 + "1\n", "a", "cannot read row 22"),
    ],
)
def test_a_table_that_cannot_be_learned_is_refused_with_its_place(
    table: str, target: str, message: str, tmp_path: Path
) -> None:
    data = tmp_path / "table.csv"
    data.write_text(table)
    ended = subprocess.run(
        [sys.executable, EXAMPLE / "prepare.py", "--data", data, "--target", target, "--into", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_prepared_tables_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run([sys.executable, EXAMPLE / "prepare.py", "--into", tmp_path / name], check=True)
    parts = {name: json.dumps([_read(tmp_path / name, part) for part in ("train", "test")]) for name in ("one", "two")}
    assert parts["one"] == parts["two"]


def _read(folder: Path, part: str) -> str:
    return (folder / "data" / f"{part}.csv").read_text()
