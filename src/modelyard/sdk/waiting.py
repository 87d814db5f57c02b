"""Waiting for what the yard does in its own time, by looking again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

from modelyard.domain.endpoints import BUILDING, ERRORS, EndpointState, VersionState
from modelyard.domain.runs import ENDED
from modelyard.domain.transforms import ENDED as TRANSFORM_ENDED
from modelyard.errors import DeadlinePassed, NotFound, Unavailable
from modelyard.protocol.views_of_endpoints import EndpointView
from modelyard.protocol.views_of_transforms import TransformView
from modelyard.protocol.views_of_tunings import TuningView
from modelyard.sdk.views import RunView

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 15.0
"""How long the yard may be out of reach while it is waited for: its processes are restarted within it."""
SHORT_OF_ROOM_SECONDS = 15.0
"""`compute unavailable` for so long is no passing lack during a roll-out."""

ViewT = TypeVar("ViewT")


def wait_until(
    look: Callable[[], ViewT],
    done: Callable[[ViewT], bool],
    limit_seconds: float | None,
    what: str,
    on_time: Callable[[ViewT], bool] | None = None,
) -> ViewT:
    """Looks until `done`. Raises DeadlinePassed after the limit, YardDown where the yard stays out of reach. Time in
    which all goes as planned (`on_time`) does not count."""
    began = time.monotonic()
    last_answer = began
    while True:
        try:
            view = look()
            last_answer = time.monotonic()
            if done(view):
                return view
            if on_time is not None and on_time(view):
                began = last_answer
        except Unavailable:
            if time.monotonic() - last_answer > PATIENCE_SECONDS:
                raise
        if limit_seconds is not None and time.monotonic() - began > limit_seconds:
            raise DeadlinePassed(f"cannot wait longer for {what}: {limit_seconds:g} s have passed")
        time.sleep(POLL_SECONDS)


def endpoint_settled(version: int | None) -> Callable[[EndpointView], bool]:
    """Whether a version (None: the one wished when first looked) serves, or never will. Keeps what it saw before."""
    wanted = version
    short_since: float | None = None

    def settled(view: EndpointView) -> bool:
        nonlocal wanted, short_since
        wanted = view.wished_version if wanted is None else wanted
        short = view.state == EndpointState.COMPUTE_UNAVAILABLE
        short_since = (short_since or time.monotonic()) if short else None
        if short_since is not None and time.monotonic() - short_since > SHORT_OF_ROOM_SECONDS:
            return True
        if view.wished_version > wanted or view.state == EndpointState.DELETING:
            return _is_overtaken(view, wanted)
        return _has_come_to(view, wanted)

    return settled


def _is_overtaken(view: EndpointView, wanted: int) -> bool:
    """Whether a version has nothing to wait for any more; one that was gone back to has, until it serves again."""
    if view.state == EndpointState.DELETING or view.versions[-1].state != VersionState.ROLLED_BACK:
        return True
    return view.state == EndpointState.LIVE and view.serving_version == wanted


def _has_come_to(view: EndpointView, wanted: int) -> bool:
    serves = view.state == EndpointState.LIVE and view.serving_version == wanted
    # The state may still be the one before this deploy; a version's own is written with the deploy itself.
    own = next((one.state for one in view.versions if one.number == wanted), None)
    if own == VersionState.FAILED:
        # The state says so a moment later, and with it why.
        return view.state in ERRORS
    if own == VersionState.ROLLED_BACK:
        return view.state in (*ERRORS, EndpointState.LIVE) and view.serving_version != wanted
    failed_later = own == VersionState.READY and view.state in ERRORS
    return failed_later or serves or rollout_waits(view)


def environment_is_built(view: EndpointView) -> bool:
    """Whether it waits for its environment, for which the yard has a limit of its own."""
    return BUILDING in view.sentence


def endpoint_serves(view: EndpointView, version: int | None) -> bool:
    """Whether that version (None: the wished one) is live."""
    wanted = view.wished_version if version is None else version
    return view.state == EndpointState.LIVE and view.serving_version == wanted


def rollout_waits(view: EndpointView) -> bool:
    """Whether a version is on its way, and only people can say when it goes on."""
    rollout = view.rollout
    if rollout is None or rollout.began_at is None:
        return False
    return rollout.paused or rollout.step_seconds is None


def rollout_goes_on(view: EndpointView) -> bool:
    """Whether a version is on its way and stands as long as it was told to."""
    rollout = view.rollout
    return rollout is not None and rollout.began_at is not None


def run_ended(view: RunView) -> bool:
    return view["status"] in {status.value for status in ENDED}


def wait_gone(look: Callable[[], EndpointView], limit_seconds: float, what: str) -> None:
    """Waits until `look` raises NotFound."""

    def gone() -> bool:
        try:
            look()
        except NotFound:
            return True
        return False

    wait_until(gone, bool, limit_seconds, what)


def tuning_ended(view: TuningView) -> bool:
    return view.status in ("Completed", "Failed", "Stopped")


def transform_ended(view: TransformView) -> bool:
    return view.status in TRANSFORM_ENDED
