"""Environments of packages: resolved once to a lock, built once, shared by all packages with the same lock.

    environments/
      DIGEST/            a virtual environment; DIGEST says which Python, which lock, which worker
      asked/ASKED.json   what a package asked for -> its lock and its DIGEST; so it gets the same again
      builds/NAME/       what uv said: `output.log`, `exit.json` at the end
      cache/             uv's own

What a package asks for is its Python version and the content of its requirements files, so touching its other code
resolves nothing anew. An environment is written aside and renamed: a half-built one never counts.
"""

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard_worker.packages import EnvironmentSpec, Package, read_package
from modelyard_worker.records import read_json, write_json

from modelyard.errors import InvalidValue, ModelyardError, NotFound, StartFailed
from modelyard.packaging.installer import Installer
from modelyard.packaging.requirements import LOCK, PROJECT, PROJECT_LOCK, REQUIREMENTS
from modelyard.packaging.worker_wheel import worker_wheel

FOLDER = "environments"
"""In the yard's home."""

RESOLVE_SECONDS = 300.0
INSTALL_SECONDS = 900.0
"""Downloading included."""

UNUSED_KEPT = 3
"""Environments that no endpoint has, the last used first, which stay for the next deploy."""

UNUSED_KEPT_SECONDS = 86400.0
"""For so long after its last use an environment stays in any case: trainings use it too."""

ASIDE_SECONDS_MAX = 86400.0
"""A half-built one that is older was left by a process that died."""

ASKED_MAX = 1000
"""Answers that are remembered beyond those of living environments; then those that were used last stay."""

_ASIDE = ".aside-"
_OWN_OPTIONS = re.compile(r"\s*(-i|-f|--(extra-|find-|no-)?(index|links)(-url)?)\b")
_REQUIREMENT = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_LOCAL = re.compile(r"^\s*(-e\b|--editable\b|\.{1,2}/|\.$|/|file:|[^#\s]+\s*@\s*(file:|\.))", re.MULTILINE)
_HASHED = re.compile(r"^[^#]*--hash=", re.MULTILINE)
_TORCH_BACKEND = re.compile(r"^#\s*torch-backend:\s*([a-z][a-z0-9.]*)\s*$", re.MULTILINE)
_INCLUDES = re.compile(r"^\s*(-r|-c|--requirement|--constraint)\b", re.MULTILINE)

Say = Callable[[str], None]
"""Told what is being done: `resolving requirements.txt`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a package asked for and what it got."""

    lock: str
    python_version: str
    environment: str
    worker: str


class Environments:
    """The environments of one home. Not for several processes at once: the controller has them."""

    def __init__(self, root: Path) -> None:
        self.builds = root / "builds"
        self._root = root
        self._asked = root / "asked"
        self._installer = Installer(root / "cache")
        self._turns: dict[str, asyncio.Lock] = {}

    def find(self, package: Package) -> str | None:
        """The interpreter of the environment that a package asks for, None where it has to be built first."""
        asked = self.asked(package)
        if asked is None or asked.worker != worker_wheel().sha256:
            return None
        python = _python_of(self._root / asked.environment)
        return str(python) if python.exists() else None

    def touch(self, package: Package) -> None:
        """Notes that it was used just now."""
        asked = self.asked(package)
        if asked is not None:
            for path in (self._root / asked.environment, self._asked_file(package)):
                if path.exists():
                    os.utime(path)

    def asked(self, package: Package) -> Asked | None:
        """What the package got when it was asked for last; None where it never was."""
        found = read_json(str(self._asked_file(package)))
        return Asked(**found) if found is not None else None

    async def ensure(self, package: Package, build: str, say: Say) -> str:
        """The interpreter of the environment that a package asks for; built where it is not there.

        `build` names the folder of its log. Raises InvalidValue for a Python that this machine has not, StartFailed
        with uv's own words for whatever else prevents it.
        """
        spec = _spec_of(package)
        try:
            (self.builds / build).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._asked.mkdir(exist_ok=True)
            log = self.builds / build / "output.log"
            log.touch(0o600)
            return await self._ensure(package, spec, log, say)
        except OSError as error:
            raise StartFailed(
                f"cannot build the environment: {error.strerror or error}", "see that the home's disk has room"
            ) from error

    async def _ensure(self, package: Package, spec: EnvironmentSpec, log: Path, say: Say) -> str:
        async with self._turn(self._asked_file(package).name):
            ready = self.find(package)
            if ready is None:
                ready = await self._provide(package, spec, log, say)
        self.touch(package)
        return ready

    async def _provide(self, package: Package, spec: EnvironmentSpec, log: Path, say: Say) -> str:
        say(f"finding Python {spec.python or 'of the yard'}")
        folder = folder_of(package)
        interpreter = await self._installer.find_python(spec.python, log, folder)
        lock = await self._lock_for(package, interpreter.path, log, say)
        worker = worker_wheel()
        digest = environment_digest(interpreter.version, lock, worker.sha256, folder)
        target = self._root / digest
        async with self._turn(digest):
            if not _python_of(target).exists():
                say(f"installing {_count(lock)} for Python {interpreter.version}")
                await self._build(target, interpreter.path, lock, folder, log)
        asked = Asked(lock, interpreter.version, digest, worker.sha256)
        write_json(str(self._asked_file(package)), {name: getattr(asked, name) for name in Asked.__slots__})
        return str(_python_of(target))

    async def _lock_for(self, package: Package, python: str, log: Path, say: Say) -> str:
        """The package's own lock, else the one that it got before, else a new one."""
        spec = _spec_of(package)
        if spec.lock is not None:
            return _read(Path(package.folder) / spec.lock)
        remembered = self.asked(package)
        if remembered is not None:
            return remembered.lock
        if spec.kind is None:
            return ""
        say(f"resolving {spec.kind}")
        return await resolve(self._installer, spec.kind, folder_of(package), python, log)

    async def _build(self, target: Path, python: str, lock: str, folder: Path, log: Path) -> None:
        aside = self._root / f"{_ASIDE}{target.name[:16]}-{secrets.token_hex(4)}"
        try:
            await self._install(aside, python, lock, folder, log)
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
        except StartFailed as error:
            raise StartFailed(f"cannot install its requirements: {error.message}", _REMEDY) from error
        finally:
            if aside.exists():
                await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)

    async def _install(self, aside: Path, python: str, lock: str, folder: Path, log: Path) -> None:
        run = self._installer.run
        words = ["venv", "--quiet", "--no-project", "--relocatable", "--python", python, str(aside)]
        await run(words, log, folder, RESOLVE_SECONDS)
        into = ["--python", str(_python_of(aside))]
        locked, wheel = aside / LOCK, aside / worker_wheel().name
        locked.write_text(lock)
        wheel.write_bytes(worker_wheel().content)
        if _REQUIREMENT.search(lock) or _LOCAL.search(lock):
            await run(["pip", "sync", *into, *torch_backend(lock), str(locked)], log, folder, INSTALL_SECONDS)
        await run(
            ["pip", "install", "--quiet", "--no-deps", "--no-index", *into, str(wheel)], log, folder, INSTALL_SECONDS
        )
        wheel.unlink()

    def _asked_file(self, package: Package) -> Path:
        return self._asked / f"{asked_digest(package)}.json"

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    # -- what is not needed any more ---------------------------------------------------------------------------------

    def collect(self, used: Iterable[Package], now: float) -> list[str]:
        """Removes environments that none of the `used` packages asks for, but for the UNUSED_KEPT that were used last
        and those used within UNUSED_KEPT_SECONDS; and what builds have left behind. Returns the digests removed."""
        if not self._root.is_dir():
            return []
        self._remove_leftovers(now)
        needed = {asked.environment for package in used if (asked := self.asked(package)) is not None}
        unused = [one for one in self._built() if one.name not in needed]
        unused.sort(key=_used_at, reverse=True)
        gone = [one for one in unused[UNUSED_KEPT:] if now - _used_at(one) > UNUSED_KEPT_SECONDS]
        for environment in gone:
            # Renamed first, so that a removal that is interrupted leaves no half of one.
            doomed = self._root / f"{_ASIDE}{environment.name[:16]}-{secrets.token_hex(4)}"
            environment.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        return [one.name for one in gone]

    def _built(self) -> list[Path]:
        return [one for one in self._root.iterdir() if re.fullmatch(r"[0-9a-f]{64}", one.name)]

    def _remove_leftovers(self, now: float) -> None:
        left = [*self._root.glob(f"{_ASIDE}*"), *(self.builds.iterdir() if self.builds.is_dir() else ())]
        for one in left:
            if now - _used_at(one) > ASIDE_SECONDS_MAX:
                shutil.rmtree(one, ignore_errors=True)
        remembered = sorted(self._asked.glob("*.json"), key=_used_at, reverse=True)
        for one in remembered[ASKED_MAX:]:
            one.unlink(missing_ok=True)


_REMEDY = "mend the requirements, or see that the package registry can be reached, and deploy again"


async def resolve(installer: Installer, kind: str, folder: Path, python: str, log: Path) -> str:
    """All that the file `kind` in `folder` requires, as a lock with hashes. Raises StartFailed with uv's words.

    Requirements with hashes are a lock already, and are taken as they are: resolving them would replace the hashes."""
    text = _read(folder / kind) if kind == REQUIREMENTS else ""
    if _HASHED.search(text):
        return text
    if kind == PROJECT_LOCK:
        words = ["export", "--locked", "--no-dev", "--no-emit-project", "--format", "requirements-txt"]
    else:
        words = ["pip", "compile", kind, "--generate-hashes"]
    words += ["--no-header", "--no-annotate", "--python", python]
    try:
        lock = await _resolve_torch(installer, words, text, log, folder)
        if lock is None:
            lock = await installer.run(words, log, folder, RESOLVE_SECONDS)
    except StartFailed as error:
        raise StartFailed(f"cannot resolve {kind}: {error.message}", _REMEDY) from error
    return _own_options(folder / kind) + lock


async def _resolve_torch(
    installer: Installer, words: Sequence[str], requirements: str, log: Path, folder: Path
) -> str | None:
    """The lock where the requirements say which build of PyTorch they want; None where they do not, or where PyTorch's
    own index, which alone has the builds, cannot be asked: a network with nothing but a mirror of the registry."""
    backend = torch_backend(requirements)
    if not backend:
        return None
    try:
        lock = await installer.run([*words, *backend], log, folder, RESOLVE_SECONDS)
    except StartFailed:
        with log.open("a") as said:
            said.write(f"cannot resolve PyTorch's build {backend[-1]}, see above; taking the registry's own\n")
        return None
    return f"# torch-backend: {backend[-1]}\n{lock}"


def torch_backend(requirements: str) -> list[str]:
    """uv's words for the build of PyTorch that requirements, or a lock, name in a line `# torch-backend: cpu`.

    A comment, because requirements files have no other place for it, and because pip has to be able to read them."""
    named = _TORCH_BACKEND.search(requirements)
    return ["--torch-backend", named[1]] if named is not None else []


def read_laid_out(folder: Path) -> tuple[Package, str | None]:
    """A package that lies in a folder, and the lock that it brings. Raises InvalidValue, NotFound."""
    try:
        package = read_package(str(folder))
    except ValueError as error:
        raise InvalidValue(str(error)) from error
    name = package.environment.lock if package.environment is not None else None
    return package, _read(folder / name) if name is not None else None


def _own_options(path: Path) -> str:
    """Lines of a requirements file that say where its packages are found: what installs the lock has to know it too."""
    lines = [line for line in _read(path).splitlines() if _OWN_OPTIONS.match(line)] if path.suffix == ".txt" else []
    return "".join(f"{line.strip()}\n" for line in lines)


def asked_digest(package: Package) -> str:
    """Names what a package asks for: its Python version and the content of the files that name its requirements."""
    spec = _spec_of(package)
    digest = hashlib.sha256(json.dumps([spec.python, spec.kind], separators=(",", ":")).encode())
    folder = folder_of(package)
    if spec.lock is not None:
        lock = _read(Path(package.folder) / spec.lock)
        digest.update(b"lock\0" + lock.encode() + _content_of(folder, [] if not _LOCAL.search(lock) else None))
    elif spec.kind is not None:
        names = [spec.kind, PROJECT] if spec.kind == PROJECT_LOCK else [spec.kind]
        text = _read(folder / spec.kind)
        elsewhere = _LOCAL.search(text) or _INCLUDES.search(text) or '{ directory = "' in text
        digest.update(_content_of(folder, None if elsewhere else names))
    return digest.hexdigest()


def environment_digest(python_version: str, lock: str, worker: str, folder: Path) -> str:
    """Names an environment. A lock that leads to files of the code itself has those in its name."""
    local = _content_of(folder, None if _LOCAL.search(lock) else [])
    parts = json.dumps([python_version, lock, worker], separators=(",", ":")).encode()
    return hashlib.sha256(parts + local).hexdigest()


def folder_of(package: Package) -> Path:
    """Where the files lie that name a package's requirements."""
    return Path(package.code_folder) / _spec_of(package).folder


def _content_of(folder: Path, names: list[str] | None) -> bytes:
    """Paths and digests of these files, or of all below the folder; nothing of what is not there."""
    paths = sorted(folder.rglob("*")) if names is None else [folder / name for name in names]
    found = [
        (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
        if path.is_file() and path.suffix != ".pyc"
    ]
    return json.dumps(found).encode() if found else b""


def _spec_of(package: Package) -> EnvironmentSpec:
    if package.environment is None:
        raise InvalidValue(f"cannot build an environment for {package.folder}: it runs in the yard's own")
    return package.environment


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"cannot read {path.name}: {error}", "deploy again") from error


def _python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def _used_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _count(lock: str) -> str:
    number = len(_REQUIREMENT.findall(lock))
    return f"{number} package{'' if number == 1 else 's'}"


def reason_of(error: ModelyardError) -> str:
    """What people read where an environment cannot be built."""
    return f"{error.message}\n{error.hint}" if error.hint else error.message
