"""One resource of a deployment, as a kind's check gets it."""

from dataclasses import dataclass

from modelyard.api.yard import Yard
from modelyard.store.ports import JsonObject


@dataclass(frozen=True, slots=True)
class Asked:
    """One resource of a deployment, as it was sent."""

    yard: Yard
    project: str
    name: str
    spec: JsonObject
    endpoints: frozenset[str]
    """Keys of the endpoints that the same deployment wishes; they are not in the store yet."""
    resources: frozenset[tuple[str, str]] = frozenset()
    """(kind, key) of its other resources, likewise."""
