"""What holds for every test: a yard of one's own is never touched, and a failure can be repeated."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples each time; and no deadline, because two cores are shared by everything that runs beside.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def no_yard_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Takes away what names the user's yard; a test that wants a yard starts one in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELYARD_HOME", str(tmp_path_factory.mktemp("no-yard-here") / "home"))
        patch.delenv("MODELYARD_URL", raising=False)
        patch.delenv("MODELYARD_API_KEY", raising=False)
        # A yard is some eight processes, a command another one: each would compile every module that it imports.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield
