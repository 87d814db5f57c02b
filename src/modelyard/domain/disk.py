"""How full the disk of a yard is, and what is refused before it is full: new work, never what runs already."""

from dataclasses import dataclass

from modelyard.errors import NoRoom

_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a home is on, as it was seen just now."""

    free_bytes: int
    """What this user may still write."""
    total_bytes: int
    limit_bytes: int
    """Below so much free space new work is refused."""

    @property
    def short(self) -> bool:
        return self.free_bytes < self.limit_bytes


def free_limit_bytes(total_bytes: int, bytes_min: float, share_min: float) -> int:
    """The smaller of an amount and a share of the disk, so that a small disk can be used too."""
    return int(min(bytes_min, total_bytes * share_min))


def check_room(disk: Disk, what: str, incoming_bytes: int = 0) -> None:
    """Raises NoRoom where the disk is short, or would be after `incoming_bytes`."""
    if disk.free_bytes - incoming_bytes >= disk.limit_bytes:
        return
    adding = f", and {_amount(incoming_bytes)} more would come" if incoming_bytes and not disk.short else ""
    raise NoRoom(
        f"cannot {what}: the yard's disk has {_amount(disk.free_bytes)} free{adding}; it keeps"
        f" {_amount(disk.limit_bytes)} for what runs",
        "`modelyard gc` frees what nothing needs; predictions go on meanwhile",
    )


def _amount(number: int) -> str:
    return next((f"{number / unit:.1f} {name}" for unit, name in _UNITS if abs(number) >= unit), f"{number} B")
