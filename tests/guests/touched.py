"""Prints the `run` of each guest that the change touches: `python -m tests.guests.touched`.

The change is what is on this branch beyond origin/main, or the last commit where this is main itself.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

CHEAP = frozenset(("catboost", "lightgbm", "onnx", "skops"))
"""Built and passed in under a minute each: in doubt these."""

ONLY_WITH_ALL = frozenset(("autoencoder", "control_groups", "pytorch", "tensorflow"))
"""Gigabytes, or a machine to emulate, and minutes: `make test-all` has them."""

_LESSONS = {"09-pickups-dashboard": "dashboards", "10-text-page": "dashboards"}
"""Folders of examples/ that a guest tries."""

_SHARED = (
    "modelyard-worker/src/modelyard_worker/loaders",
    "modelyard-worker/src/modelyard_worker",
    "tests/contract/worker",
    "tests/guests",
)
"""A file in one of these folders itself concerns every framework."""


def touched(paths: Iterable[str], guests: Iterable[str]) -> set[str]:
    """Names of the guests that a change of these files concerns: those that a path names, and in doubt the cheap."""
    known = set(guests)
    found: set[str] = set()
    for path in map(PurePosixPath, paths):
        named = known.intersection(path.with_suffix("").parts)
        named |= known.intersection(_LESSONS[part] for part in path.parts if part in _LESSONS)
        found |= named
        if not named and str(path.parent) in _SHARED:
            found |= known & CHEAP
    return found - ONLY_WITH_ALL


def changed_paths() -> list[str] | None:
    """None where git does not know what the change is."""
    base = _git("merge-base", "HEAD", "origin/main")
    if not base or base == _git("rev-parse", "HEAD"):
        base = _git("rev-parse", "HEAD~1")
    listed = _git("diff", "--name-only", base, "HEAD") if base else None
    return listed.splitlines() if listed is not None else None


def _git(*words: str) -> str | None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def main() -> None:
    guests = {one.parent.name for one in HERE.glob("*/run")}
    paths = changed_paths()
    for name in sorted(guests & CHEAP if paths is None else touched(paths, guests)):
        print(f"tests/guests/{name}/run")


if __name__ == "__main__":
    main()
