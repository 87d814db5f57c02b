"""Environments of guests: other people's libraries, whose pins exclude ours, each built by uv from its own lock.

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

import pytest

HERE = Path(__file__).parent
WORKER = HERE.parents[1] / "modelyard-worker" / "src"
BUILD_SECONDS = 900


def guest_python(name: str, by_pip: str | None = None) -> str:
    """The interpreter of the guest's environment.

    `by_pip` is a requirement beyond the lock, of a library that is had cheaply in some places only: pip knows those
    from its own configuration. Skips the test where it would bring CUDA's libraries, gigabytes of them.
    """
    lock = HERE / name / "requirements.txt"
    wanted = json.dumps([sys.version_info[:2], lock.read_text(), by_pip])
    folder = _cache() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(_uv(), "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
            _run(_uv(), "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(lock))
            if by_pip is not None:
                _install_by_pip(python, by_pip)
            (folder / "complete").touch()
    return str(python)


def _install_by_pip(python: Path, requirement: str) -> None:
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    report = json.loads(_run(*pip, "install", "--dry-run", "--no-deps", "--report", "-", requirement))
    needed = report["install"][0]["metadata"].get("requires_dist", [])
    large = sorted(one.partition(" ")[0] for one in needed if one.startswith(("nvidia", "cuda", "triton")))
    if large:
        pytest.skip(
            f"pip finds {requirement} only with {', '.join(large)}; let it find a CPU build (PIP_FIND_LINKS, or "
            "PIP_INDEX_URL of PyTorch's own index) and run again"
        )
    _run(*pip, "install", "--no-deps", requirement)


def _uv() -> str:
    found = Path(sys.executable).with_name("uv")
    command = str(found) if found.exists() else shutil.which("uv")
    assert command is not None, "cannot find uv: it is among the project's own dependencies"
    return command


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def cache_folder(name: str, lock: str) -> Path:
    """A folder of the guest's own, kept between runs, and made where it is not there; another for another lock."""
    folder = _cache() / f"{name}-{hashlib.sha256(lock.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard-tests" / "guests"
