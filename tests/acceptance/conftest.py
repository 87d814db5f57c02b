"""Each story gets a yard of its own, and leaves nothing behind."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import psutil
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.acceptance.yard import Yard


@pytest.fixture
def yard() -> Iterator[Yard]:
    """A yard that is up, in a home with a short path."""
    home = Path(tempfile.mkdtemp(prefix="yard-"))
    one = Yard(home).up()
    try:
        yield one
    finally:
        with contextlib.suppress(Exception):
            one.down()
        one.close()
        left = one.everything_alive()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def iris_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LogisticRegression on iris, as a joblib file."""
    features, labels = load_iris(return_X_y=True)
    path = tmp_path_factory.mktemp("iris") / "iris.joblib"
    joblib.dump(LogisticRegression(max_iter=1000).fit(features, labels), path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a project folder: its yard file, and further files by name. Returns the yard file's path."""

    def write(yard_file: str, **files: str) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        path = folder / "modelyard.yaml"
        path.write_text(yard_file)
        return path

    return write
