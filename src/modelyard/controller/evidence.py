"""Evidence: what the versions of an endpoint answered since the present step of its rollout began.

Gateways report what they counted since they started; here that is kept as it was a minute ago and at the step's
beginning, and what came since is the difference. It is kept in memory: a controller that comes after a dead one begins
to watch anew, and the step that it finds on disk goes on.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelyard.clock import Clock
from modelyard.domain.endpoints import Endpoint, VersionState
from modelyard.domain.metrics import Figures
from modelyard.domain.names import name_key
from modelyard.domain.verdicts import WINDOW_SECONDS, Evidence, Tally

LOOK_SECONDS = 1.0
"""Between two snapshots."""

MODEL_ERROR = 424
"""What clients of SageMaker's get in place of the 500 of a predictor that raised."""

LATENCY_SHARE = 0.9
"""Share of the answers that a latency is told of."""

Snapshot = Mapping[int, Figures]


@dataclass(slots=True)
class _Watched:
    step: tuple[int, int]
    """Version and step that it is about."""
    began: Snapshot
    recent: deque[tuple[float, Snapshot]] = field(default_factory=deque[tuple[float, Snapshot]])


class Watch:
    def __init__(
        self,
        figures: Callable[[str], Snapshot],
        firing: Callable[[], frozenset[str]],
        clock: Clock,
    ) -> None:
        """`figures` tells what was counted of each version of an endpoint, `firing` which alarms fire."""
        self._figures = figures
        self._firing = firing
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def evidence(self, endpoint: Endpoint) -> Evidence:
        """Nothing where no version is on its way."""
        key, wished = name_key(endpoint.name), endpoint.wished
        guard = endpoint.strategy.watch
        if wished.state is not VersionState.NEW or guard is None or endpoint.fallback is None or endpoint.deleting:
            self._watched.pop(key, None)
            return Evidence()
        now, present = self._clock.monotonic(), self._figures(key)
        step = (wished.number, wished.progress.step)
        watched = self._watched.get(key)
        if watched is None or watched.step != step:
            watched = self._watched[key] = _Watched(step, present)
        recent = watched.recent
        if not recent or now - recent[-1][0] >= LOOK_SECONDS:
            recent.append((now, present))
        # The oldest that is kept is the last that is older than the window.
        while len(recent) > 1 and recent[1][0] <= now - WINDOW_SECONDS:
            recent.popleft()
        return Evidence(
            step=_since(watched.began, present),
            recent=_since(recent[0][1], present),
            firing=self._firing() if guard.alarms else frozenset(),
        )


def _since(earlier: Snapshot, present: Snapshot) -> dict[int, Tally]:
    return {version: _tally(figures.since(earlier.get(version))) for version, figures in present.items()}


def _tally(figures: Figures) -> Tally:
    errors = figures.answered(5) + figures.answers.get(MODEL_ERROR, 0)
    return Tally(max(0, figures.requests), max(0, errors), figures.total.quantile(LATENCY_SHARE))
