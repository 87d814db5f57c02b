"""Secrets on their way to a process: revealed when it starts, hidden in whatever is told about it."""

from collections.abc import Mapping

from modelyard.store.ports import Store


def reveal(store: Store, references: Mapping[str, str]) -> dict[str, str]:
    """Variables with the present values of their secrets. Raises NotFound, StoreFailed."""
    values = store.secrets.reveal(set(references.values())) if references else {}
    return {variable: values[name] for variable, name in references.items()}


def mask(store: Store, text: str) -> str:
    """`text`, which users' code may have written, without the value of any secret."""
    return store.secrets.masks().text(text)
