"""Environments of peers: other people's servers, whose pins exclude ours, each built by uv from its own lock.

They are kept under the cache folder, named by what is in them, so that a second run builds nothing.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

BUILD_SECONDS = 900
SHOWN_LINES = 6
"""Of what uv said of an environment that it could not build."""


class CannotBuild(Exception):  # noqa: N818 (it is a fact about this machine, and the run goes on without the peer)
    """An environment that cannot be had here, and why."""


def environment_python(folder: Path) -> Path:
    """The interpreter of the environment that `requirements.txt` in `folder` locks; built where it is not there yet.

    Raises CannotBuild with uv's own words.
    """
    lock = folder / "requirements.txt"
    wanted = json.dumps([sys.version_info[:2], lock.read_text()])
    target = _cache() / f"{folder.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    python = target / "bin" / "python"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{target.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(target))
            _uv("pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(lock))
            (target / "complete").touch()
    return python


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = str(beside) if beside.exists() else shutil.which("uv")
    if command is None:
        raise CannotBuild("uv is not installed: run `make setup`")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise CannotBuild(" / ".join(done.stderr.strip().splitlines()[-SHOWN_LINES:]))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard-bench" / "peers"
