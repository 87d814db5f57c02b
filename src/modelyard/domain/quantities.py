"""Amounts as people write them: CPU, memory, durations, shares. Kubernetes' notation, as Cortex used it."""

import math
import re

from modelyard.errors import InvalidValue

_MEMORY = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def cpu_millis(value: str | float) -> int:
    """CPU as thousandths of a core: `200m` is 200, `1` and `1.0` are 1000. At least 1."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    millis = round(float(match[1]) * (1 if match[2] else 1000)) if match else 0
    if millis < 1:
        raise InvalidValue(f"cannot read {text!r} as CPU", "write cores (0.5, 2) or thousandths of one (200m)")
    return millis


def memory_bytes(value: str | int) -> int:
    """Memory in bytes: `512Mi`, `1.5G`, `1000000`."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(|k|M|G|T|Ki|Mi|Gi|Ti)", text)
    if not match or not float(match[1]):
        raise InvalidValue(f"cannot read {text!r} as an amount of memory", "write 512Mi, 2Gi, 500M or bytes")
    return round(float(match[1]) * _MEMORY[match[2]])


def duration_seconds(value: str | float) -> float:
    """A duration in seconds: `60s`, `5m`, `1h30m`, `500ms`; a bare number is seconds."""
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidValue(f"cannot read {text!r} as a duration", "write 500ms, 60s, 5m, 1h30m or seconds")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration_text(seconds: float) -> str:
    """A duration for people, in its two largest units: `3 d 4 h`, `12 min`, `4.5 s`."""
    if seconds < 60:
        return f"{max(0.0, seconds):.3g} s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or parts:
            parts.append(f"{left // size} {unit}" if left >= size else "")
            left %= size
    return " ".join(part for part in parts[:2] if part)


def share_of(value: str | int, whole: int, *, up: bool) -> int:
    """`25%` of `whole`, rounded up or down, or a plain count; Kubernetes' rule for max_surge and max_unavailable."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+)(%?)", text)
    if not match:
        raise InvalidValue(f"cannot read {text!r} as a share", "write a count (1) or a percentage (25%)")
    if not match[2]:
        return int(match[1])
    exact = int(match[1]) * whole / 100
    return math.ceil(exact) if up else math.floor(exact)
