"""Times and sizes as people read them."""

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def age(stamp: str | None, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was: `12s`, `3m`, `2h`, `5d`; `-` for none."""
    if not stamp:
        return "-"
    seconds = max(0.0, ((now or datetime.now(UTC)) - datetime.fromisoformat(stamp)).total_seconds())
    return next((f"{int(seconds // size)}{unit}" for size, unit in _UNITS if seconds >= size), f"{int(seconds)}s")


def left(stamp: str, now: datetime | None = None) -> str:
    """How long it is until an RFC 3339 time: `12s`, `3m`, `2h`, `5d`."""
    seconds = max(0.0, (datetime.fromisoformat(stamp) - (now or datetime.now(UTC))).total_seconds())
    return next((f"{int(seconds // size)}{unit}" for size, unit in _UNITS if seconds >= size), f"{int(seconds)}s")


def between(began: str | None, ended: str | None, now: datetime | None = None) -> str:
    """How long something took, or has taken so far: `4.2s`, `3m05s`, `1h02m`."""
    if not began:
        return "-"
    until = datetime.fromisoformat(ended) if ended else (now or datetime.now(UTC))
    seconds = max(0.0, (until - datetime.fromisoformat(began)).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(number_bytes: int | None) -> str:
    """`512 B`, `3.4 MiB`; `-` for none."""
    if number_bytes is None:
        return "-"
    amount = float(number_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit takes every amount")
