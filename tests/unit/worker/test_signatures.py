import pytest
from modelyard_worker.signatures import CannotServe, asked_by

OFFERED = ("payload", "headers", "context")


def test_parameters_are_found_by_name_in_any_order() -> None:
    def predict(context: object, payload: dict[str, int]) -> None: ...

    asked = asked_by(predict, OFFERED, "predict")
    assert asked.parameters == {"context": "context", "payload": "payload"}
    assert asked.hints["payload"] == dict[str, int]


def test_the_first_unknown_parameter_takes_the_first_thing_offered() -> None:
    def predict(data: list[int], headers: object) -> None: ...

    asked = asked_by(predict, OFFERED, "predict")
    assert asked.parameters == {"headers": "headers", "payload": "data"}
    assert asked.hints["payload"] == list[int]


def test_parameters_with_defaults_are_left_alone() -> None:
    def predict(payload: object, color: str = "red", *more: object, **named: object) -> None: ...

    assert asked_by(predict, OFFERED, "predict").parameters == {"payload": "payload"}


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    def predict(payload: object, color: str) -> None: ...

    with pytest.raises(CannotServe, match="it asks for color; it may ask for payload, headers, context"):
        asked_by(predict, OFFERED, "predict")


def test_a_parameter_that_has_no_name_for_callers_is_refused() -> None:
    def predict(payload: object, /) -> None: ...

    with pytest.raises(CannotServe, match="cannot be given by name"):
        asked_by(predict, OFFERED, "predict")


def test_hints_that_cannot_be_evaluated_say_nothing() -> None:
    def predict(payload): ...  # type: ignore[no-untyped-def]

    predict.__annotations__ = {"payload": "Unknown"}
    assert asked_by(predict, OFFERED, "predict").hints == {}
