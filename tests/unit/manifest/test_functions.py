"""What a yard file says of a function's schedule."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.api.deployments import Spec
from modelyard.errors import ModelyardError
from modelyard.manifest.endpoints import EndpointResource
from modelyard.manifest.yard_file import read_yard_file


def read(folder: Path, schedule: str) -> EndpointResource:
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    file = folder / "modelyard.yaml"
    file.write_text(f"- {{name: sweep, kind: function, handler: app.handler, schedule: {schedule}}}\n")
    (found,) = read_yard_file(file).resources
    assert isinstance(found, EndpointResource)
    return found


def wished(folder: Path, schedule: str) -> dict[str, Any] | None:
    """As the yard keeps it."""
    function = Spec.model_validate(read(folder, schedule).settings).function
    assert function is not None
    return function.function().schedule


def test_a_functions_schedule_is_a_cron_expression_or_a_map_with_an_event(tmp_path: Path) -> None:
    nightly = {"cron": "0 3 * * *", "time_zone": "UTC", "missed": "once", "overlap": "skip"}
    assert wished(tmp_path, "0 3 * * *") == nightly
    assert wished(tmp_path, "{cron: 0 3 * * *, event: {days: [1, 2]}}") == {**nightly, "event": {"days": [1, 2]}}


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("61 * * * *", "schedule"),
        ("{cron: 0 3 * * *, event: " + "x" * 9000 + "}", "at most 8192 bytes of JSON"),
        ("{cron: 0 3 * * *, input: 1}", "input"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_its_place(tmp_path: Path, schedule: str, told: str) -> None:
    with pytest.raises(ModelyardError) as caught:
        read(tmp_path, schedule)
    assert told in str(caught.value)
