"""The repository as the documents' tests read it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


def tracked_files() -> list[Path]:
    """Every file that git knows and that is there. Skips the test where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [file for file in files if file.is_file()]


def pages() -> list[Path]:
    return [file for file in tracked_files() if file.suffix == ".md"]


def commands(page: Path, program: str) -> Iterator[str]:
    """Every command line of `program` on a page: lines of code blocks and inline code that begin with it."""
    text = page.read_text()
    code = [line for block in _FENCE.findall(text) for line in block.splitlines()]
    code += _INLINE.findall(_FENCE.sub("", text))
    for line in code:
        command = line.partition(" #")[0].strip()
        if command.startswith(f"{program} "):
            yield command


def where(file: Path) -> str:
    return str(file.relative_to(ROOT))
