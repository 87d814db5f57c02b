"""How long work tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    def __call__(self, step: str, done_bytes: int, total_bytes: int) -> None:
        """Called often; `step` is a short word for what goes on, `hashing price.csv`, `sending`."""
        ...


def no_progress(step: str, done_bytes: int, total_bytes: int) -> None:
    """Tells nobody."""
