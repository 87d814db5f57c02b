"""A control group with little memory, so that the kernel itself ends what is in it: where this user may make one."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import pytest

_PLACES = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)
"""Of both versions of cgroups(7)."""


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Generator[Path]:
    """The group's folder. Skips the test where there can be none."""
    for place, limit in _PLACES:
        group = place / f"modelyard-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / limit).exists():
                continue
            (group / limit).write_text(str(limit_bytes))
            yield group
            return
        finally:
            group.rmdir()
    pytest.skip("no control group with a limit of memory can be made here")
