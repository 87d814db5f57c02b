"""What trackers saw: how often each class was predicted, or how large predictions are (Cortex's `tracker`)."""

CLASSES_MAX = 100
"""Classes of one endpoint that are counted by name."""

OTHER = "(other)"
"""All classes beyond them together."""


class Tracked:
    """Counts of one endpoint since this gateway started."""

    __slots__ = ("classes", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.count = 0
        """Measured predictions."""
        self.total = 0.0
        self.minimum = 0.0
        self.maximum = 0.0

    def add(self, value: str | float) -> None:
        """A class is counted, a number measured."""
        if isinstance(value, str):
            label = value if value in self.classes or len(self.classes) < CLASSES_MAX else OTHER
            self.classes[label] = self.classes.get(label, 0) + 1
            return
        self.minimum = min(self.minimum, value) if self.count else value
        self.maximum = max(self.maximum, value) if self.count else value
        self.total += value
        self.count += 1
