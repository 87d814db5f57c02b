"""A yard that several tests share: up for a module, and gone without a trace afterwards."""

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import psutil

from tests.acceptance.yard import Yard


@contextlib.contextmanager
def standing_yard(home: Path | None = None) -> Generator[tuple[Yard, Path]]:
    """The yard, and an empty folder for a project."""
    home = home or Path(tempfile.mkdtemp(prefix="yard-"))
    project = Path(tempfile.mkdtemp(prefix="project-"))
    yard = Yard(home).up()
    try:
        yield yard, project
    finally:
        with contextlib.suppress(Exception):
            yard.down()
        yard.close()
        for left in yard.everything_alive():
            with contextlib.suppress(psutil.Error):
                left.kill()
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(project, ignore_errors=True)
