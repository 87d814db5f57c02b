from pathlib import Path

import pytest

from tests.integration.api.yard_over_http import Api


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path / "home")
