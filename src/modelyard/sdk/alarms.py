"""Alarms, as the API answers them."""

from typing import Any, TypedDict


class AlarmView(TypedDict):
    name: str
    project: str
    endpoint: str
    state: str
    """`ok`, `alarm` or `insufficient_data`."""
    since: str
    sentence: str
    value: float | None
    condition: str
    spec: dict[str, Any]


class ChangeView(TypedDict):
    state: str
    at: str
    sentence: str
    value: float | None


class DeliveryView(TypedDict):
    id: str
    target: str
    created_at: str
    attempts: int
    due_at: str | None
    """None where it is over."""
    outcome: str | None


class AlarmHistoryView(TypedDict):
    alarm: AlarmView
    history: list[ChangeView]
    """Newest first."""
    deliveries: list[DeliveryView]
    """Newest first."""
