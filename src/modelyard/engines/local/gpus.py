"""GPUs of this machine, as NVIDIA's driver lists them, and which of them nobody has.

A replica that states `gpu: n` gets n of them for itself: CUDA_VISIBLE_DEVICES names them, in its process and in no
other's. On a machine that has any, a replica that states none sees none, so that what was handed out stays free.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

VISIBLE = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")

_INFORMATION = "proc/driver/nvidia/gpus/*/information"
_UUID = re.compile(r"^GPU UUID:\s*(GPU-[0-9a-f-]+)\s*$", re.MULTILINE)
_MINOR = re.compile(r"^Device Minor:\s*(\d+)\s*$", re.MULTILINE)
_DEVICE = re.compile(r"nvidia(\d+)")


def gpus(root: Path = Path("/")) -> tuple[str, ...]:
    """What CUDA calls each: its UUID, which does not change with what else is there, or its number. Those that a
    container was not given have no device file, and do not count."""
    devices = sorted(int(match[1]) for one in root.glob("dev/nvidia*") if (match := _DEVICE.fullmatch(one.name)))
    described: dict[int, str] = {}
    for file in root.glob(_INFORMATION):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        uuid, minor = _UUID.search(text), _MINOR.search(text)
        if uuid is not None and minor is not None:
            described[int(minor[1])] = uuid[1]
    return tuple(described.get(minor, str(minor)) for minor in devices)


def free_gpus(every: Sequence[str], taken: Iterable[str]) -> list[str]:
    """Those that nobody has, in their order."""
    held = set(taken)
    return [one for one in every if one not in held]


def visible(every: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The variables of a process that was given these; none on a machine without any."""
    if not every:
        return {}
    return {VISIBLE[0]: ",".join(given), VISIBLE[1]: ",".join(given) or "void"}
