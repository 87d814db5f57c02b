"""`update_strategy` as written -> how a version takes over, or located errors; the API takes and refuses the same."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modelyard.api.rollouts import StrategyWish
from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import read_yard_file


def strategy_of(folder: Path, written: str) -> Any:
    (folder / "modelyard.yaml").write_text(f"- name: price\n  model: price\n  update_strategy: {written}\n")
    [one] = read_yard_file(folder / "modelyard.yaml").endpoints
    return one.settings.get("update_strategy")


VALID = [
    ("{max_surge: 1}", None),
    ("{type: rolling, auto_rollback: {error_rate: 5%}}", {"type": "rolling", "guard": {"error_rate": 0.05}}),
    (
        "{type: canary, steps: [5%, 50%], bake_time: 2m, termination_wait: 1h}",
        {"type": "canary", "steps": [5.0, 50.0], "bake_seconds": 120.0, "termination_wait_seconds": 3600.0},
    ),
    ("{type: linear, step_size: 25%, interval: 30s}", {"type": "linear", "step_percent": 25.0, "bake_seconds": 30.0}),
    ("{type: blue_green, termination_wait: 10m}", {"type": "blue_green", "termination_wait_seconds": 600.0}),
    (
        "{type: shadow, sample: 10%, compare: true, tolerance: 0.01, bake_time: 1h}",
        {"type": "shadow", "sample_percent": 10.0, "compare": True, "tolerance": 0.01, "bake_seconds": 3600.0},
    ),
    ("{type: swap, max_unavailable: 1}", {"type": "swap"}),
]

INVALID = [
    ("{type: green_blue}", "type: found 'green_blue' .*allowed: rolling, canary, linear, blue_green, shadow, swap"),
    ("{steps: [10%]}", "steps: found with type rolling; only canary has it"),
    ("{type: swap, bake_time: 1m}", "bake_time: found with type swap; only canary and blue_green and shadow have it"),
    ("{type: blue_green, sample: 10%}", "sample: found with type blue_green; only shadow has it"),
    ("{type: canary, interval: 1m}", "interval: found with type canary; only linear has it"),
    ("{type: linear, steps: [10%, 20%]}", "steps: found with type linear; only canary has it"),
    ("{type: canary, steps: [50%, 10%]}", "steps: found 50, 10; write 1 to 20 shares that go up"),
    ("{type: canary, steps: [50%, 100%]}", "steps: found 50, 100; write 1 to 20 shares that go up"),
    ("{type: canary, steps: []}", "steps: found"),
    ("{type: linear, step_size: 1%}", "step_size: found"),
    ("{type: shadow, tolerance: 2}", "tolerance: found 2"),
    ("{type: canary, bake_time: forever}", "bake_time: found 'forever'"),
    ("{type: canary, auto_rollback: {alarm: slow}}", "auto_rollback.alarm: .*did you mean alarms"),
]


@pytest.mark.parametrize(("written", "meant"), VALID)
def test_each_strategy_means_what_is_written_and_the_api_takes_it(tmp_path: Path, written: str, meant: Any) -> None:
    found = strategy_of(tmp_path, written)
    assert found == meant
    if found is not None:
        StrategyWish.model_validate(found)


@pytest.mark.parametrize(("written", "said"), INVALID)
def test_what_does_not_belong_to_a_strategy_is_refused_where_it_stands(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=rf"modelyard\.yaml:3: price\.update_strategy\.{said}"):
        strategy_of(tmp_path, written)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"type": "green_blue"}, "type"),
        ({"type": "canary", "steps": []}, "steps"),
        ({"type": "canary", "steps": [0, 200]}, "steps"),
        ({"type": "linear", "step_percent": 1}, "step_percent"),
        ({"type": "shadow", "sample_percent": -1}, "sample_percent"),
        ({"type": "canary", "bake_seconds": "1m"}, "bake_seconds"),
        ({"type": "canary", "guard": {"latency_factor": 1.0}}, "guard"),
        ({"type": "canary", "interval": 1}, "interval"),
    ],
)
def test_the_api_refuses_what_cannot_be_and_names_the_field(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StrategyWish.model_validate(wish)
    assert {one["loc"][0] for one in refused.value.errors()} == {field}
