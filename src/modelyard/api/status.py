"""The yard as a whole: its address, its processes, how much there is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from modelyard_worker.records import Identity, is_alive, read_json

from modelyard.api.permissions import guarded
from modelyard.api.room import disk_of
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.disk import Disk
from modelyard.version import VERSION


@dataclass(frozen=True, slots=True)
class ProcessView:
    name: str
    pid: int | None
    alive: bool
    pss_bytes: int | None
    """Proportional set size: shared pages count by the share of each process."""


@dataclass(frozen=True, slots=True)
class DiskView:
    free_bytes: int
    total_bytes: int
    limit_bytes: int
    """Below so much free space new work is refused."""
    refusing: bool


@dataclass(frozen=True, slots=True)
class StatusView:
    version: str
    url: str
    home: str
    started_at: str
    processes: list[ProcessView]
    counts: dict[str, int]
    disk: DiskView


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "status")

    @router.get("/status")
    def get_status() -> StatusView:
        """What runs, and how much there is."""
        written = read_json(str(yard.home.yard)) or {}
        return StatusView(
            version=VERSION,
            url=str(written.get("url", "")),
            home=str(yard.home.root),
            started_at=iso(float(written.get("started_at", 0.0))),
            processes=_processes(yard, written),
            counts={
                "endpoints": yard.store.endpoints.count(),
                "models": yard.store.models.count(),
                "runs": yard.store.runs.count(),
            },
            disk=_disk_view(disk_of(yard)),
        )

    return router


def _disk_view(disk: Disk) -> DiskView:
    return DiskView(disk.free_bytes, disk.total_bytes, disk.limit_bytes, disk.short)


def _processes(yard: Yard, written: dict[str, Any]) -> list[ProcessView]:
    kept: list[dict[str, Any]] = (read_json(str(yard.home.processes)) or {}).get("processes") or []
    supervisor = [{"name": "supervisor", **written}] if "pid" in written else []
    return [_process_view(one) for one in [*supervisor, *kept]]


def _process_view(one: dict[str, Any]) -> ProcessView:
    identity = Identity(str(one["boot"]), int(one["pid"]), int(one["start"]))
    alive = is_alive(identity)
    return ProcessView(
        name=str(one["name"]), pid=identity.pid, alive=alive, pss_bytes=_pss_bytes(identity.pid) if alive else None
    )


def _pss_bytes(pid: int) -> int | None:
    """From /proc/PID/smaps_rollup (proc(5)), None where the system has none."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
