"""Bounds that every implementation of the store keeps alike."""

EVENTS_MAX = 10_000
"""Events that are remembered; beyond it the oldest go."""

SENTENCE_LENGTH_MAX = 2048
"""Characters of an event's sentence; what is longer is cut."""

LINKS_MAX = 100
"""One-time links that wait to be taken; beyond it those that expire first go."""

SESSIONS_MAX = 1000
"""Sessions of browsers; beyond it those that expire first go."""

NAMES_COMPARED_MAX = 1000
"""Names that a mistyped one is compared with, newest first."""
