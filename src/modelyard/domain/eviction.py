"""Which loaded endpoints go when memory is short: those that nobody has asked for longest, before the machine suffers.

Only an endpoint that may be at zero (`min_replicas: 0`) and has no request under way can go; the next request brings it
back. Memory is short where the machine has less available than the yard keeps free, or where all replicas together hold
more than they may, those that are loading counted with what they will hold. Then as many go as it takes to have a
margin, so that the next request does not evict again at once.
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
    """What its replicas hold and share with nobody, without those that are leaving."""
    may_go: bool
    """It may be at zero, and no request is under way."""
    may_go_later: bool = False
    """It may be at zero when its requests are answered, or when it has proved that it comes up."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What all replicas together take of the memory."""

    held_bytes: int
    """What they hold now and share with nobody, those that are leaving among them."""
    coming_bytes: int = 0
    """What those that are loading, or are about to, will take beyond that."""
    leaving_bytes: int = 0
    """What of `held_bytes` comes free without anything being done."""


@dataclass(frozen=True, slots=True)
class Eviction:
    key: str
    sentence: str


def shortage_bytes(memory: Memory, claims: Claims, limits: MemoryLimits) -> float:
    """How much must come free, margin included, before what is coming is there; 0 where nothing is short."""
    keep_free = limits.free_bytes(memory.total_bytes)
    free_short = keep_free - memory.available_bytes + claims.coming_bytes
    held_over = 0.0
    if limits.replicas_bytes_max:
        held_over = claims.held_bytes + claims.coming_bytes - limits.replicas_bytes_max
    wanted = 0.0
    if free_short > 0:
        wanted = free_short + MARGIN_SHARE * keep_free
    if held_over > 0:
        wanted = max(wanted, held_over + MARGIN_SHARE * limits.replicas_bytes_max)
    return wanted


def first_bytes(limits: MemoryLimits) -> int:
    """What a replica is taken to hold while nothing is known of any: so that those that come first do not pass a bound
    together."""
    return int(MARGIN_SHARE * limits.replicas_bytes_max)


def decide_eviction(
    loaded: Iterable[Loaded], memory: Memory, claims: Claims, limits: MemoryLimits, now: float
) -> list[Eviction]:
    """Who goes, the least recently used first; nobody where nothing is short, or what is leaving is enough."""
    wanted = shortage_bytes(memory, claims, limits) - claims.leaving_bytes
    why = _why(memory, claims, limits)
    evictions: list[Eviction] = []
    freed = 0.0
    for one in sorted(loaded, key=lambda one: (one.last_used_at, one.key)):
        if freed >= wanted:
            break
        # One that holds nothing of its own frees nothing.
        if one.may_go and one.private_bytes:
            freed += one.private_bytes
            idle = max(0.0, now - one.last_used_at)
            sentence = f"evicted, {why}, and nothing asked for it for {idle:.0f} s: {_mib(one.private_bytes)}"
            evictions.append(Eviction(one.key, sentence))
    return evictions


def _why(memory: Memory, claims: Claims, limits: MemoryLimits) -> str:
    keep_free = limits.free_bytes(memory.total_bytes)
    if memory.available_bytes - claims.coming_bytes < keep_free:
        known = f"the machine has {_mib(memory.available_bytes)} available of the {_mib(keep_free)} that stay free"
    else:
        known = f"replicas hold {_mib(claims.held_bytes)} of the {_mib(limits.replicas_bytes_max)} that they may"
    return f"{known} and {_mib(claims.coming_bytes)} more are to come" if claims.coming_bytes else known


def _mib(amount: float) -> str:
    return f"{amount / 2**20:.0f} MiB"
