"""What the Dockerfile of an exported package installs, by what its lock names."""

from pathlib import Path

import pytest
from modelyard_worker.packages import Package

from modelyard.packaging.images import write_context


def dockerfile(folder: Path, lock: str) -> list[str]:
    package = folder / "package"
    package.mkdir()
    write_context(folder / "context", Package(str(package), None, None, [], None), "3.11.7", lock)
    return (folder / "context" / "Dockerfile").read_text().splitlines()


@pytest.mark.parametrize("line", ["lightgbm==4.6.0", "lightgbm==4.6.0 \\", "lightgbm==4.6.0 ; python_version >= '3.9'"])
def test_lightgbm_gets_the_library_that_its_wheel_does_not_carry(tmp_path: Path, line: str) -> None:
    lines = dockerfile(tmp_path, f"numpy==2.3.0\n{line}\n")
    (found,) = [number for number, text in enumerate(lines) if "apt-get install" in text]
    assert lines[found].startswith("RUN ")
    assert "libgomp1" in lines[found]
    assert found < lines.index("USER modelyard")


def test_what_needs_no_library_of_debian_asks_for_none(tmp_path: Path) -> None:
    assert not [line for line in dockerfile(tmp_path, "numpy==2.3.0\nnot-lightgbm==1.0\n") if "apt-get" in line]
