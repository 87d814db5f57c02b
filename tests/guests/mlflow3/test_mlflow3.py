"""The real MLflow client 3.x against a real yard."""

from pathlib import Path

import pytest

from tests.acceptance.conftest import yard
from tests.acceptance.yard import Yard
from tests.guests import mlflow_stories as stories

GUEST = "mlflow3"

pytestmark = [pytest.mark.environments, pytest.mark.timeout(stories.STORY_SECONDS)]

__all__ = ["yard"]
"""A fixture: pytest finds it by its name here."""


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch) -> None:
    stories.share_cache(monkeypatch)


def test_a_client_tracks_registers_and_its_model_is_deployed_by_alias(yard: Yard, tmp_path: Path) -> None:
    stories.check_client(yard, GUEST, tmp_path)
