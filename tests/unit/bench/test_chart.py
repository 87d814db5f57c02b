"""The chart is well-formed, and says of every server what was measured."""

from xml.etree import ElementTree as ET

from bench.serving.cases import CASES_BY_NAME
from bench.serving.chart import drawn
from bench.serving.figures import figures
from bench.serving.load import Load
from bench.serving.measuring import Found

SVG = "{http://www.w3.org/2000/svg}"


def load(server: str, connections: int, rate: float) -> Load:
    return Load("batch", server, connections, int(rate), rate, 0.001, 0.002, 0, {"server": 10.0, "generator": 5.0})


def test_the_chart_shows_each_server_at_the_most_connections_quickest_first() -> None:
    loads = [load("litserve", 64, 800), load("modelyard", 64, 1200), load("modelyard", 16, 55)]
    root = ET.fromstring(drawn([(Found(CASES_BY_NAME["batch"]), figures(loads), [])]))
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert texts == [
        "batch: requests/s at 64 connections",
        "(the most there can be)", "1,600",
        "modelyard", "1,200",
        "litserve", "800",
    ]  # fmt: skip
    _background, *bars = root.iter(f"{SVG}rect")
    widths = [float(one.attrib["width"]) for one in bars]
    assert widths[1] / widths[0] == 0.75


def test_a_case_without_figures_has_no_panel() -> None:
    root = ET.fromstring(drawn([(Found(CASES_BY_NAME["iris"]), [], [])]))
    assert not list(root.iter(f"{SVG}text"))
