"""Whether what a process holds grows: the last quarter of its time beside the second one.

The first quarter is a process's youth: caches fill and code is loaded. What grows after that, however slowly, grows for
ever.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MEMORY_GROWTH_MAX = 0.10
MEMORY_GROWTH_BYTES_MIN = 6 * 2**20
"""Less than this is no growth, whatever its share: pages come and go."""

FILES_GROWTH_MAX = 8
SAMPLES_MIN = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment."""

    at: float
    """Seconds since the beginning."""
    memory_bytes: int
    """Proportional set size."""
    open_files: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Medians of the second and the last quarter."""

    before: Sample
    after: Sample

    @property
    def memory_grows(self) -> bool:
        more = self.after.memory_bytes - self.before.memory_bytes
        return more > max(MEMORY_GROWTH_BYTES_MIN, MEMORY_GROWTH_MAX * self.before.memory_bytes)

    @property
    def files_grow(self) -> bool:
        return self.after.open_files - self.before.open_files > FILES_GROWTH_MAX


def growth_of(samples: Sequence[Sample]) -> Growth | None:
    """None where there are too few samples to say."""
    quarter = len(samples) // 4
    if len(samples) < SAMPLES_MIN:
        return None
    return Growth(_median(samples[quarter : 2 * quarter]), _median(samples[-quarter:]))


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(
        statistics.median(one.at for one in samples),
        round(statistics.median(one.memory_bytes for one in samples)),
        round(statistics.median(one.open_files for one in samples)),
    )
