"""The real MLflow client 3.x against a real yard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.yard import Yard
from tests.guests import mlflow_stories as stories

GUEST = "mlflow3"
VERSION = "3.17.2"
"""As the lock has it; what the scripts of jobs ask for."""

pytestmark = [pytest.mark.environments, pytest.mark.timeout(stories.STORY_SECONDS)]


@pytest.fixture(scope="module")
def tracked() -> Iterator[Yard]:
    yield from stories.a_tracked_yard()


def test_a_client_tracks_registers_and_its_model_is_deployed_by_alias(tracked: Yard, tmp_path: Path) -> None:
    stories.check_client(tracked, GUEST, tmp_path)


def test_what_a_script_logs_by_autolog_lands_in_the_yards_run(tracked: Yard, tmp_path: Path) -> None:
    stories.check_autolog(tracked, VERSION, tmp_path)
