"""What the repository may not hold."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, tracked_files, where

_MACHINE = re.compile(r"(?<![\w.~}])/(?:root|work|opt/(?!ml\b)|home/\w)")
_REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|--(?:extra-)?index-url|--find-links|--trusted-host")
_TYPOGRAPHY = re.compile("[\u2010-\u2015\u2018-\u201f\u2026\u00a0]")
_DRAWERS = {"utils", "util", "helpers", "common", "misc"}
_LOCK_LINE = re.compile(r"([a-z0-9._-]+)==(\S+)( ; [^\\]+)?")


def _texts() -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for file in tracked_files():
        if file == Path(__file__) or file.parent.name == "vendored":
            continue  # it has to spell out what it looks for; other people's files are left as they are
        try:
            found.append((file, file.read_text()))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [f"{where(file)}: {match[0]}" for file, text in _texts() for match in _MACHINE.finditer(text)]
    found += [f"{where(file)}: {match[0]}" for file, text in _texts() for match in _REGISTRY.finditer(text)]
    assert not found


def test_quotes_and_hyphens_are_ascii() -> None:
    found = [f"{where(file)}: {match[0]!r}" for file, text in _texts() for match in _TYPOGRAPHY.finditer(text)]
    assert not found


def test_no_module_is_a_drawer() -> None:
    assert not [where(file) for file in tracked_files() if file.stem in _DRAWERS or file.parent.name in _DRAWERS]


@pytest.mark.parametrize("lock", ["dev.txt", "uv.txt"])
def test_a_lock_names_exact_versions_with_hashes_and_nothing_else(lock: str) -> None:
    entries = (ROOT / "locks" / lock).read_text().replace("\\\n", "").splitlines()
    assert entries
    for entry in entries:
        requirement, *hashes = entry.split("--hash=")
        assert _LOCK_LINE.fullmatch(requirement.strip()), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", one) for one in hashes), requirement


def test_the_lock_holds_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {match[0] for line in wanted if (match := re.match(r"[A-Za-z0-9._-]+", line))} - {"modelyard-worker"}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "locks" / "dev.txt").read_text(), re.MULTILINE))
    assert names <= locked


def test_both_distributions_have_one_version() -> None:
    files = (ROOT / "pyproject.toml", ROOT / "modelyard-worker" / "pyproject.toml")
    ours, worker = (tomllib.loads(file.read_text())["project"]["version"] for file in files)
    assert ours == worker
    assert f'VERSION = "{ours}"' in (ROOT / "src" / "modelyard" / "version.py").read_text()
