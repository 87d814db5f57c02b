"""The environment of the MLflow server: built once from its own lock file, apart from everything of the user's.

    mlflow/environments/DIGEST/    a virtual environment; DIGEST says which Python, which lock, which worker

One that is half built never counts: it is written aside and renamed. Those of other versions go when a new one is
there.
"""

import hashlib
import secrets
import shutil
import sys
from pathlib import Path

from modelyard.errors import StartFailed
from modelyard.packaging.environments import INSTALL_SECONDS, RESOLVE_SECONDS, Say
from modelyard.packaging.installer import Installer
from modelyard.packaging.worker_wheel import worker_wheel

LOCK = Path(__file__).parent / "locks" / "mlflow.txt"


class TrackingEnvironment:
    """Below `root`. Its owner is one process at a time, the one that becomes the server."""

    def __init__(self, root: Path, cache: Path) -> None:
        """`cache` is where uv keeps what it downloaded."""
        self._root = root
        self._installer = Installer(cache)

    @property
    def python(self) -> Path:
        """The interpreter, whether it is there or not."""
        return self._root / _digest() / "bin" / "python"

    async def ensure(self, log: Path, say: Say) -> Path:
        """The interpreter; installed where it is not there. Raises StartFailed with uv's own words."""
        if not self.python.exists():
            say("installing MLflow in an environment of its own; the first time takes a minute")
            try:
                await self._build(log)
            except OSError as error:
                raise StartFailed(
                    f"cannot install MLflow: {error.strerror or error}", "see that the home's disk has room"
                ) from error
            except StartFailed as error:
                raise StartFailed(
                    f"cannot install MLflow: {error.message}", "see that the package registry can be reached"
                ) from error
        return self.python

    async def _build(self, log: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._root.glob(".aside-*"):
            shutil.rmtree(left, ignore_errors=True)
        aside = self._root / f".aside-{secrets.token_hex(4)}"
        words = ["venv", "--quiet", "--no-project", "--relocatable", "--python", sys.executable, str(aside)]
        await self._installer.run(words, log, self._root, RESOLVE_SECONDS)
        into = ["--python", str(aside / "bin" / "python")]
        wheel = aside / worker_wheel().name
        wheel.write_bytes(worker_wheel().content)
        words = ["pip", "sync", "--require-hashes", *into, str(LOCK)]
        await self._installer.run(words, log, self._root, INSTALL_SECONDS)
        words = ["pip", "install", "--quiet", "--no-deps", "--no-index", *into, str(wheel)]
        await self._installer.run(words, log, self._root, INSTALL_SECONDS)
        wheel.unlink()
        earlier = [one for one in self._root.iterdir() if one.name != aside.name]
        aside.rename(self._root / _digest())
        for one in earlier:
            shutil.rmtree(one, ignore_errors=True)


def _digest() -> str:
    parts = [sys.version, LOCK.read_text(encoding="utf-8"), worker_wheel().sha256]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
