"""`port` in a yard file: what it may be, and one for each."""

from pathlib import Path

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import read_yard_file

SITE = "- {{name: {name}, kind: site, path: pages, port: {port}}}\n"


def written(folder: Path, *sites: tuple[str, object]) -> Path:
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("<p>")
    path = folder / "modelyard.yaml"
    path.write_text("".join(SITE.format(name=name, port=port) for name, port in sites))
    return path


def test_a_port_is_what_a_site_wishes(tmp_path: Path) -> None:
    found = read_yard_file(written(tmp_path, ("docs", 8501), ("shop", 80)))
    assert [one.spec["port"] for one in found.others] == [8501, 80]


@pytest.mark.parametrize("port", [0, 65536, '"8501"', "true", 1.5])
def test_what_is_no_port_is_refused(tmp_path: Path, port: object) -> None:
    with pytest.raises(InvalidValue, match=r"docs.port"):
        read_yard_file(written(tmp_path, ("docs", port)))


def test_a_port_that_two_wish_is_refused_with_who_has_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"yaml:2: shop\.port.*found 8501, which docs has in line 1"):
        read_yard_file(written(tmp_path, ("docs", 8501), ("shop", 8501)))
