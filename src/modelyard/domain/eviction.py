"""Which loaded endpoints go when memory is short: those that nobody has asked for longest, before the machine suffers.

Only an endpoint that may be at zero (`min_replicas: 0`) and has no request under way can go; the next request brings it
back. Memory is short where the machine has less available than the yard keeps free, or where all replicas together hold
more than they may. Then as many go as it takes to have a margin, so that the next request does not evict again at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MARGIN_SHARE = 0.25
"""How much more than what is short is freed, as a share of the limit."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's, or of what of it this yard may use."""

    total_bytes: int
    available_bytes: int
    """What can still be had without swapping, as the kernel estimates it."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    free_bytes_min: float
    free_share_min: float
    """The same as a share of all; the smaller of the two counts."""
    replicas_bytes_max: float
    """What all replicas together may hold for themselves; 0 sets no bound."""

    def free_bytes(self, total_bytes: int) -> float:
        return min(self.free_bytes_min, self.free_share_min * total_bytes)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An endpoint that has replicas."""

    key: str
    last_used_at: float
    """When it was last asked, or deployed."""
    private_bytes: int
    """What its replicas hold and share with nobody."""
    may_go: bool
    """It may be at zero, and no request is under way."""


@dataclass(frozen=True, slots=True)
class Eviction:
    key: str
    sentence: str


def shortage_bytes(memory: Memory, held_bytes: int, limits: MemoryLimits) -> float:
    """How much must be freed, margin included; 0 where nothing is short."""
    keep_free = limits.free_bytes(memory.total_bytes)
    free_short = keep_free - memory.available_bytes
    held_over = held_bytes - limits.replicas_bytes_max if limits.replicas_bytes_max else 0.0
    wanted = 0.0
    if free_short > 0:
        wanted = free_short + MARGIN_SHARE * keep_free
    if held_over > 0:
        wanted = max(wanted, held_over + MARGIN_SHARE * limits.replicas_bytes_max)
    return wanted


def decide_eviction(loaded: Iterable[Loaded], memory: Memory, limits: MemoryLimits, now: float) -> list[Eviction]:
    """Who goes, the least recently used first; nobody where nothing is short."""
    every = list(loaded)
    held = sum(one.private_bytes for one in every)
    wanted = shortage_bytes(memory, held, limits)
    why = _why(memory, held, limits)
    evictions: list[Eviction] = []
    freed = 0.0
    for one in sorted(every, key=lambda one: (one.last_used_at, one.key)):
        if freed >= wanted:
            break
        # One that holds nothing of its own frees nothing.
        if one.may_go and one.private_bytes:
            freed += one.private_bytes
            idle = max(0.0, now - one.last_used_at)
            sentence = f"evicted, {why}, and nothing asked for it for {idle:.0f} s: {_mib(one.private_bytes)}"
            evictions.append(Eviction(one.key, sentence))
    return evictions


def _why(memory: Memory, held_bytes: int, limits: MemoryLimits) -> str:
    keep_free = limits.free_bytes(memory.total_bytes)
    if memory.available_bytes < keep_free:
        return f"the machine has {_mib(memory.available_bytes)} available of the {_mib(keep_free)} that stay free"
    return f"replicas hold {_mib(held_bytes)} of the {_mib(limits.replicas_bytes_max)} that they may"


def _mib(amount: float) -> str:
    return f"{amount / 2**20:.0f} MiB"
