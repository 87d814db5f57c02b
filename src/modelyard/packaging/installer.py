"""uv, which finds interpreters, resolves requirements and installs them. Words are lists, never a shell's line."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import uv

from modelyard.errors import InvalidValue, StartFailed

FIND_SECONDS = 60.0
REASON_LINES = 12
"""How much of what uv said last is the reason."""

REASON_LENGTH_MAX = 1500
OUTPUT_BYTES_MAX = 16 * 2**20
"""What one call may print that is read back: a lock."""

_WITHHELD = (
    "MODELYARD_API_KEY",
    "PYTHONPATH",
    "PYTHONHOME",
    "CONDA_PREFIX",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
)


class Interpreter(NamedTuple):
    path: str
    version: str
    """All of it: `3.12.1`."""


class Installer:
    """Runs uv. What it says goes to a log; where it fails, its last words are the reason."""

    def __init__(self, cache: Path) -> None:
        """`cache` is where uv keeps what it downloaded, unless UV_CACHE_DIR names a place already."""
        self._cache = cache

    async def find_python(self, version: str | None, log: Path, folder: Path) -> Interpreter:
        """An interpreter of this version, which may be a range (`>=3.12`); None is the yard's own.

        Only what is installed counts; nothing is downloaded. Raises InvalidValue where there is none.
        """
        if version is None:
            return Interpreter(sys.executable, ".".join(str(part) for part in sys.version_info[:3]))
        try:
            words = ["python", "find", "--no-project", "--no-python-downloads", version]
            found = await self.run(words, log, folder, FIND_SECONDS)
            path = found.strip()
            shown = await self.run([*words[:-1], "--show-version", path], log, folder, FIND_SECONDS)
        except StartFailed as error:
            raise InvalidValue(
                f"cannot find Python {version} on this machine: {error.message}",
                f"install it (`uv python install {version}`), or name one that is there",
            ) from error
        return Interpreter(path, shown.strip())

    async def run(self, words: Sequence[str], log: Path, folder: Path, limit_seconds: float) -> str:
        """What `uv WORDS`, run in `folder`, printed to its standard output; the rest goes to the end of `log`.

        Raises StartFailed with uv's last words where it fails or takes longer than the limit. Cancelling ends it.
        """
        output = log.with_name(f".{log.name}.out")
        with log.open("ab") as said, output.open("w+b") as printed:
            began = said.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    uv.find_uv_bin(),
                    *words,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=said,
                    cwd=folder,
                    env=self._environment(),
                    start_new_session=True,
                )
            except OSError as error:
                raise StartFailed(f"cannot run uv: {error}", "install Modelyard again; uv comes with it") from error
            code = await _end_of(process, limit_seconds)
            printed.seek(0)
            text = printed.read(OUTPUT_BYTES_MAX + 1).decode("utf-8", "replace")
        output.unlink(missing_ok=True)
        if code is None:
            raise StartFailed(f"uv had not ended after {limit_seconds:g} s")
        if code != 0:
            raise StartFailed(last_words(log, began) or f"uv ended with exit code {code}")
        if len(text) > OUTPUT_BYTES_MAX:
            raise StartFailed(f"uv printed more than {OUTPUT_BYTES_MAX} bytes")
        return text

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
        environment.setdefault("UV_CACHE_DIR", str(self._cache))
        # The yard's own interpreter comes first where it will do: what it has compiled and cached is warm.
        environment["VIRTUAL_ENV"] = sys.prefix
        environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", os.defpath)))
        environment.update(UV_NO_PROGRESS="1", NO_COLOR="1", UV_PYTHON_DOWNLOADS="never", PYTHONNOUSERSITE="1")
        return environment


async def _end_of(process: asyncio.subprocess.Process, limit_seconds: float) -> int | None:
    """Its exit code; None where it was ended because of the limit. Ends it, and all that it started, if cancelled."""
    try:
        async with asyncio.timeout(limit_seconds):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def last_words(log: Path, began: int) -> str:
    """What uv said last, from its error on: warnings before it are about something else. Bounded."""
    with log.open("rb") as file:
        file.seek(began)
        lines = [line.rstrip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.lstrip().startswith(("error:", "\u00d7"))]
    words = lines[starts[0] :][:REASON_LINES] if starts else lines[-REASON_LINES:]
    return "\n".join(words).removeprefix("error: ")[:REASON_LENGTH_MAX]
