"""Which files are a project's code."""

from pathlib import Path

import pytest

from modelyard.errors import InvalidValue, NotFound, TooLarge
from modelyard.packaging import project
from modelyard.packaging.files import list_files
from modelyard.packaging.project import project_files


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)


def names(folder: Path) -> list[str]:
    return [one.path for one in project_files(folder, folder / "modelyard.yaml")]


def test_everything_is_code_but_dot_files_bytecode_environments_and_the_yard_file(tmp_path: Path) -> None:
    write(tmp_path, "predictor.py", "src/a.py", "data/t.csv", "sub/modelyard.yaml")
    write(tmp_path, ".env", ".git/config", "x.pyc", "__pycache__/x.py", ".venv/a.py", "venv/a.py", "modelyard.yaml")
    write(tmp_path, "x.egg-info/PKG-INFO")
    assert names(tmp_path) == ["data/t.csv", "predictor.py", "src/a.py", "sub/modelyard.yaml"]


def test_a_yards_home_in_the_folder_is_no_code(tmp_path: Path) -> None:
    write(tmp_path, "predictor.py", "home/key", "home/supervisor.lock", "home/log/gateway.log", "sub/key")
    assert names(tmp_path) == ["predictor.py", "sub/key"]


@pytest.mark.parametrize("ignore_file", [".modelyardignore", ".cortexignore"])
def test_an_ignore_file_has_gitignores_syntax(tmp_path: Path, ignore_file: str) -> None:
    write(tmp_path, "a.csv", "keep.csv", "data/b.csv", "data/deep/c.py", "notes/n.md", "src/notes.md")
    (tmp_path / ignore_file).write_text("# comment\n*.csv\n!keep.csv\ndata/\n/notes\n")
    assert names(tmp_path) == ["keep.csv", "src/notes.md"]


def test_the_executable_bit_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "run.sh", "plain.sh")
    (tmp_path / "run.sh").chmod(0o755)
    assert {one.path: one.executable for one in project_files(tmp_path)} == {"plain.sh": False, "run.sh": True}


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("x")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(outside)
    with pytest.raises(InvalidValue, match="leads outside"):
        project_files(tmp_path / "project")


def test_too_much_code_is_refused_with_the_largest_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "PROJECT_BYTES_MAX", 10)
    write(tmp_path, "a-rather-long-name.py")
    with pytest.raises(TooLarge) as refused:
        project_files(tmp_path)
    assert "a-rather-long-name.py" in str(refused.value.hint)


def test_data_may_be_a_file_or_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "data/a.csv", "data/sub/.hidden")
    assert [one.path for one in list_files(tmp_path / "data")] == ["a.csv", "sub/.hidden"]
    assert [one.path for one in list_files(tmp_path / "data" / "a.csv")] == ["a.csv"]


def test_data_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        list_files(tmp_path / "nothing")
    with pytest.raises(InvalidValue, match="no file"):
        list_files(tmp_path / "empty")
