"""The lessons of examples/, on the data that stands in where the real data is not: every step, as its page has it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from modelyard.errors import ModelyardError
from tests.acceptance.browser import grave_faults, overflow_pixels
from tests.acceptance.conftest import a_yard
from tests.acceptance.lessons import Lesson
from tests.acceptance.yard import Yard, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def figure(printed: str, name: str) -> float:
    line = next(line for line in printed.splitlines() if line.startswith(name))
    return float(line.rpartition(": ")[2])


@pytest.fixture(scope="module")
def school() -> Iterator[Yard]:
    with a_yard() as yard:
        yield yard


def test_wines_are_told_apart_by_a_predictor_of_ones_own(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "02-own-predictor")
    assert lesson.train("wine-training")["validation:accuracy"] > 0.9
    lesson.deploy("wine")
    assert figure(lesson.script("measure.py"), "told right of 36") >= 33
    with pytest.raises(ModelyardError, match="alcohol"):
        school.client().predict("wine", {"malic_acid": 1.7})


@pytest.mark.long
def test_house_prices_are_scored_by_the_file_and_live(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "03-house-prices")
    assert "in place of boston" in lesson.prepared
    lesson.change("num_round: 600", "num_round: 60")
    lesson.train("house-training")
    lesson.transform("house", input_filter="$[1:]", join="Input", output_filter="$[0,-1]")
    printed = lesson.script("compare.py")
    assert figure(printed, "test RMSE of the yard's model") < figure(printed, "test RMSE of always saying")
    lesson.change("max_trials: 20", "max_trials: 2")
    assert lesson.tune("house-tuning") == ("Completed", 2)
    school.client().promote("house:1", "champion")
    lesson.change("model: house\n", "model: house@champion\n", last=True)
    lesson.deploy("house")
    first = (lesson.folder / "data" / "test.csv").read_text().splitlines()[0].split(",")
    scored = (lesson.folder / "predictions" / "test.csv.out").read_text().splitlines()[0].split(",")
    live = school.client().predict("house", [[float(value) for value in first[1:]]])
    assert scored == [first[0], str(live[0])]


@pytest.mark.long
def test_abnormal_heartbeats_are_told_by_a_threshold_that_validation_chose(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "04-heartbeat-anomalies")
    narrow, wide = lesson.train("beats-narrow"), lesson.train("beats-wide")
    better = 1 if narrow["validation:f1"] >= wide["validation:f1"] else 2
    school.client().promote(f"beats:{better}", "champion")
    lesson.deploy("beats")
    lesson.transform("endpoint/beats")
    printed = lesson.script("measure.py")
    assert figure(printed, "abnormal F1") > 0.85
    assert figure(printed, "AUC") > 0.9


def test_spikes_in_a_series_are_found_where_they_were_put(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "05-search-trends")
    assert lesson.train("spikes-measured")["train-f1"] > 0.8


def test_a_page_of_a_site_plots_what_an_endpoint_finds_through_one_gateway(
    school: Yard, tmp_path: Path, page: Page
) -> None:
    lesson = Lesson(school, tmp_path, "08-trends-page")
    assert "in place of Google Trends" in lesson.prepared
    lesson.deploy("trend-anomalies")
    face = f"{school.url}/gateways/trends"
    eventually(lambda: httpx.get(f"{face}/").status_code == 200)
    assert httpx.get(f"{face}/series").json() == ["made-1", "made-2"]
    values = httpx.get(f"{face}/series/made-1").json()["values"]
    flags = httpx.post(f"{face}/anomalies", json=values).json()
    assert [value > 28 for value in values] == flags, "spikes begin at 20 above a level of 15 with noise of 2"
    assert sum(flags) == 12
    assert httpx.post(f"{face}/anomalies", json=["no numbers"] * 8).status_code == 400
    assert httpx.get(f"{face}/series/none").status_code == 404
    page.goto(f"http://trends.localhost:{urlsplit(school.url).port}/")
    expect(page.get_by_role("status")).to_have_text("12 anomalies in 260 values")
    expect(page.locator("#plot circle")).to_have_count(12)
    csv = "Category: All categories\n\nWeek,tea\n" + "".join(f"2024-01-{day:02},{day % 3}\n" for day in range(1, 31))
    export = {"name": "multiTimeline.csv", "mimeType": "text/csv", "buffer": csv.encode() + b"2024-02-01,100\n"}
    page.get_by_label("or an export").set_input_files(export)  # pyright: ignore[reportArgumentType] (Playwright's own type is a TypedDict)
    expect(page.get_by_role("status")).to_have_text("1 anomaly in 31 values")
    assert (grave_faults(page), overflow_pixels(page)) == ([], 0)


def test_text_is_foretold_better_than_by_chance_and_streams(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "06-text-generation")
    assert "Python's reference" in lesson.prepared
    text = lesson.folder / "data" / "train" / "text.txt"
    text.write_text(text.read_text()[:40_000])
    assert lesson.train("text-training")["test:bits_per_character"] < 5
    lesson.deploy("text")
    asked = {"prompt": "the ", "length": 40, "seed": 3}
    url, headers = f"{school.url}/endpoints/text/invocations", {"accept": "text/plain"}
    slow = {**asked, "characters_per_second": 100}
    with httpx.stream("POST", url, json=slow, headers=headers, timeout=30) as answer:
        parts = list(answer.iter_text())
    assert len(parts) > 3, "it streams"
    assert "".join(parts) == school.client().predict("text", asked, accept="text/plain")
    assert len("".join(parts)) == 40
    with pytest.raises(ModelyardError, match="temperature"):
        school.client().predict("text", {**asked, "temperature": 0})


@pytest.mark.long
def test_breeds_of_images_are_told_apart_better_than_by_chance(school: Yard, tmp_path: Path) -> None:
    lesson = Lesson(school, tmp_path, "07-pet-breeds")
    lesson.change("epochs: 60", "epochs: 15")
    found = lesson.train("pets-training")
    assert found["test-accuracy"] > 0.3, "six breeds: one in six by chance"
    assert len(list(school.client().run_metrics("pets-training-1", "loss"))) == 15
    lesson.deploy("pets")
    image = (lesson.folder / "data" / "test" / "red-disc" / "0.ppm").read_bytes()
    told = school.client().predict("pets", image, content_type="image/x-portable-pixmap")
    assert len(told) == 5
