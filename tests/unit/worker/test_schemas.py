"""What hints say of a body, and what they do not."""

from typing import Any, NotRequired, TypedDict

import numpy as np
import pytest
from modelyard_worker.schemas import describe_hints


class House(TypedDict):
    area: float
    rooms: list[int]
    note: NotRequired[str]


def test_a_typed_dictionary_has_its_fields() -> None:
    described = describe_hints(House, None)
    assert described["input"]["required"] == ["area", "rooms"]
    assert described["example"] == {"area": 0.0, "rooms": [0]}


@pytest.mark.parametrize("hint", [None, dict, list, np.ndarray, list[dict[str, Any]], bytes])
def test_where_a_hint_does_not_say_which_fields_or_how_many_there_is_no_example(hint: Any) -> None:
    assert "example" not in describe_hints(hint, None)


@pytest.mark.parametrize(("hint", "example"), [(float, 0.0), (str, ""), (list[float], [0.0])])
def test_a_plain_value_is_its_own_example(hint: Any, example: Any) -> None:
    assert describe_hints(hint, None)["example"] == example
