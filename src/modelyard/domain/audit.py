"""What the audit log remembers: every change, and every refusal for want of the right to it."""

from dataclasses import dataclass

AUDIT_MAX = 100_000
"""Entries that are remembered; beyond it the oldest go."""

TEXT_LENGTH_MAX = 512


@dataclass(frozen=True, slots=True)
class Audited:
    """One request that changed something, or was not allowed to."""

    at: float
    principal: str
    """`owner`, `user ada@example.org`, `key k-4f2a`, or `nobody`."""
    action: str
    """`DELETE /endpoints/price`, or what else was done: `sign in`."""
    outcome: str
    """The answer's status, `200`, or the reason of a refusal, `401 unauthorized`."""
    address: str
    request_id: str
    number: int = 0
    """Counts up; 0 where it is not stored yet."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a gateway did not let in, as often as it happened since it was told of last."""

    at: float
    """When it happened first."""
    principal: str
    action: str
    outcome: str
    address: str
    request_id: str
    """Of the first."""
    count: int = 1


def audited(refusal: Refusal) -> Audited:
    """As the log has it."""
    often = f", {refusal.count} times" if refusal.count > 1 else ""
    return Audited(
        refusal.at,
        refusal.principal,
        refusal.action,
        f"{refusal.outcome}{often}",
        refusal.address,
        refusal.request_id,
    )
