"""Each story gets a yard of its own, and leaves nothing behind."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import psutil
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.acceptance.yard import Yard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextlib.contextmanager
def a_yard() -> Generator[Yard]:
    """A yard that is up, in a home with a short path; whatever becomes of it, nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="yard-"))
    one = Yard(home)
    try:
        yield one.up()
    finally:
        with contextlib.suppress(Exception):
            one.down()
        one.close()
        for process in one.everything_alive():
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def yard() -> Iterator[Yard]:
    """A yard of the test's own."""
    with a_yard() as one:
        yield one


@pytest.fixture(scope="module")
def shared_yard() -> Iterator[Yard]:
    """One yard for all stories of a file that leave it as they found it."""
    with a_yard() as one:
        yield one


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


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A browser for all tests of a file."""
    from tests.acceptance.browser import a_browser, find_chromium  # noqa: PLC0415 (most stories have no page)

    if find_chromium() is None:
        pytest.skip("no Chromium on this machine; Debian's package is `chromium`")
    with a_browser() as one:
        yield one


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page in a window of its own, without a cookie. The test fails where a script or the page's policy complains."""
    from tests.acceptance.browser import a_context, watch  # noqa: PLC0415 (see `browser`)

    context = a_context(browser)
    one = context.new_page()
    faults = watch(one)
    yield one
    context.close()
    assert not faults, faults
