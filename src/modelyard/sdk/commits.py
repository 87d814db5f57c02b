"""Which commit of the user's work tree is being sent."""

import shutil
import subprocess
from pathlib import Path

GIT_SECONDS = 5.0


def commit_of(folder: Path) -> str | None:
    """The commit checked out in `folder`, with `+changes` where its files differ from it; None without git."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *words: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
