"""Captured requests as Parquet: `captures/ENDPOINT/vVERSION/DAY/SEGMENT.parquet` under the home.

DuckDB makes the files and reads them. It is loaded by the recorder, a process that ends when its work is done, and by
nothing that stays.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelyard.domain.captures import COLUMNS, KEEP_SECONDS
from modelyard.domain.names import name_key

SEGMENTS = "spool"
KEEP = "keep.json"
ROWS_AT_ONCE = 1000

_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class CapturedDay:
    """What is kept of one version and day."""

    endpoint: str
    version: int
    day: str
    """`2026-01-31`, in UTC."""
    files: int
    size_bytes: int


def waiting(folder: Path) -> bool:
    """Whether segments wait to be recorded."""
    return any(folder.glob(f"{SEGMENTS}/*.jsonl"))


def record(folder: Path) -> int:
    """Makes Parquet of every closed segment, and of those whose writer is dead; returns how many. A segment goes when
    its files are on disk; one that is recorded twice replaces its own files."""
    done = 0
    for segment in sorted((folder / SEGMENTS).glob("*")):
        if segment.suffix == ".part" and not _is_abandoned(segment):
            continue
        _record_segment(folder, segment)
        segment.unlink()
        done += 1
    return done


def days(folder: Path, endpoint: str) -> list[CapturedDay]:
    """Newest first."""
    found = [
        CapturedDay(
            endpoint,
            int(place.parent.name[1:]),
            place.name,
            len(files := list(place.glob("*.parquet"))),
            sum(one.stat().st_size for one in files),
        )
        for place in (folder / name_key(endpoint)).glob("v*/????-??-??")
    ]
    return sorted(found, key=lambda one: (one.day, one.version), reverse=True)


def read(
    folder: Path, endpoint: str, since: float, until: float, limit: int, version: int | None = None
) -> Iterator[dict[str, Any]]:
    """Records of a time, newest first."""
    import duckdb  # noqa: PLC0415 (only where Parquet is read or written)

    first = datetime.fromtimestamp(since, UTC).date().isoformat()
    files = [
        str(file)
        for one in days(folder, endpoint)
        if one.day >= first and version in (None, one.version)
        for file in (folder / name_key(endpoint) / f"v{one.version}" / one.day).glob("*.parquet")
    ]
    if not files:
        return
    with duckdb.connect() as database:
        rows = database.execute(
            f'SELECT {_NAMES} FROM read_parquet($files) WHERE "at" > $since AND "at" <= $until'  # noqa: S608
            ' ORDER BY "at" DESC LIMIT $limit',
            {"files": files, "since": since, "until": until, "limit": limit},
        )
        while several := rows.fetchmany(ROWS_AT_ONCE):
            for row in several:
                yield dict(zip(COLUMNS, row, strict=True))


def keep(folder: Path, endpoint: str, keep_seconds: float) -> None:
    """Writes down for how long an endpoint's captures stay, so that it holds when the endpoint is gone."""
    place = folder / name_key(endpoint)
    text = json.dumps({"keep_seconds": keep_seconds})
    with contextlib.suppress(OSError):
        if (place / KEEP).read_text() == text:
            return
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / KEEP).write_text(text)


def drop_old(folder: Path, now: float) -> list[CapturedDay]:
    """Forgets days that are older than their endpoint keeps them."""
    dropped: list[CapturedDay] = []
    for place in folder.glob("*/v*"):
        kept = KEEP_SECONDS
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = float(json.loads((place.parent / KEEP).read_text())["keep_seconds"])
        # A day goes when its last moment is too old.
        oldest = (datetime.fromtimestamp(now - kept, UTC) - timedelta(days=1)).date().isoformat()
        for one in days(folder, place.parent.name):
            if one.version == int(place.name[1:]) and one.day < oldest:
                shutil.rmtree(place / one.day, ignore_errors=True)
                dropped.append(one)
    return dropped


def _is_abandoned(segment: Path) -> bool:
    try:
        with segment.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _record_segment(folder: Path, segment: Path) -> None:
    import duckdb  # noqa: PLC0415 (as above)

    columns = ", ".join(f"\"{name}\": '{kind}'" for name, kind in COLUMNS.items())
    with duckdb.connect() as database:
        database.execute(
            "CREATE TEMP TABLE rows AS SELECT *,"  # noqa: S608 (the columns are our own)
            " strftime(make_timestamp(CAST(\"at\" * 1000000 AS BIGINT)), '%Y-%m-%d') AS day"
            # A writer that died may have left half a line.
            f" FROM read_json($file, format = 'newline_delimited', ignore_errors = true, columns = {{{columns}}})",
            {"file": str(segment)},
        )
        parts = database.execute("SELECT DISTINCT endpoint, version, day FROM rows WHERE endpoint IS NOT NULL")
        for endpoint, version, day in parts.fetchall():
            place = folder / name_key(endpoint) / f"v{version}" / day
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = place / f"{segment.stem}.aside"
            database.execute(
                f"COPY (SELECT {_NAMES} FROM rows WHERE endpoint = $endpoint AND version = $version"  # noqa: S608
                f" AND day = $day ORDER BY \"at\") TO '{str(aside).replace(chr(39), chr(39) * 2)}'"
                " (FORMAT parquet, COMPRESSION zstd)",
                {"endpoint": endpoint, "version": version, "day": day},
            )
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.rename(place / f"{segment.stem}.parquet")
