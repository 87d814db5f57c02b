"""What both files of this guest have: a yard, and a browser that is given time."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import a_yard, browser
from tests.acceptance.yard import Yard

__all__ = ["browser"]
"""A fixture of another folder."""

BUILD_SECONDS = 600
SLOW_MILLISECONDS = 60_000
"""How long a page of these may take on a machine that does much else."""


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with a_yard() as one:
        yield one
