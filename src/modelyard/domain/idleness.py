"""Endpoints that nobody asks: since when, and what becomes of one that was only meant to stay while it is used.

An endpoint with a `ttl` is deleted when it had no request for so long. Its models stay registered; deploying it again
brings it back. Time counts from its last request or its last deploy, whichever is later, and an endpoint is never
deleted unannounced: the warning comes `notice_seconds` before, and where a yard that was down comes to it late, the
deletion waits for so long all the same.
"""

from dataclasses import dataclass
from enum import StrEnum

from modelyard.domain.quantities import duration_text

NOTICE_SHARE = 0.1
NOTICE_SECONDS_MAX = 3600.0
"""Before the deletion comes the warning: a tenth of the ttl, at most an hour."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What is remembered of an endpoint's requests. Wall clock."""

    last_at: float | None = None
    """When it was last asked; None where it never was, as far as anybody remembers."""
    warned_at: float | None = None
    """When it was announced that it will be deleted; None where it was not, or has been asked since."""


class Fate(StrEnum):
    STAY = "stay"  # it is used, or not idle for long enough
    WARN = "warn"  # its deletion is to be announced
    DELETE = "delete"  # nobody has asked for it since


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    sentence: str = ""
    look_at: float | None = None
    """When to judge again at the latest; None where there is nothing to come."""


def decide_ttl(ttl_seconds: float | None, deployed_at: float, requests: Requests, now: float) -> Verdict:
    """What becomes of an endpoint that has no request under way."""
    if ttl_seconds is None:
        return Verdict(Fate.STAY)
    since = idle_since(deployed_at, requests)
    notice = notice_seconds(ttl_seconds)
    warned_at = requests.warned_at
    if warned_at is None or warned_at < since:
        warn_at = since + ttl_seconds - notice
        if now < warn_at:
            return Verdict(Fate.STAY, look_at=warn_at)
        left = max(notice, since + ttl_seconds - now)
        sentence = f"no request for {duration_text(now - since)}: it will be deleted in {duration_text(left)}"
        return Verdict(Fate.WARN, f"{sentence} unless it is asked before", now + left)
    delete_at = max(since + ttl_seconds, warned_at + notice)
    if now < delete_at:
        return Verdict(Fate.STAY, look_at=delete_at)
    idle, ttl = duration_text(now - since), duration_text(ttl_seconds)
    return Verdict(Fate.DELETE, f"deleted for want of requests: none for {idle}, and its ttl is {ttl}")


def idle_since(deployed_at: float, requests: Requests) -> float:
    return max(deployed_at, requests.last_at or 0.0)


def expires_at(ttl_seconds: float | None, deployed_at: float, requests: Requests) -> float | None:
    """When it will be deleted if nobody asks for it, as far as can be said now; None where it has no `ttl`."""
    if ttl_seconds is None:
        return None
    since = idle_since(deployed_at, requests)
    warned = requests.warned_at
    announced = warned + notice_seconds(ttl_seconds) if warned is not None and warned >= since else 0.0
    return max(since + ttl_seconds, announced)


def notice_seconds(ttl_seconds: float) -> float:
    return min(NOTICE_SECONDS_MAX, NOTICE_SHARE * ttl_seconds)
