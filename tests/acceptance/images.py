"""Container images, built and run by buildah in a store of their own, with no registry and no daemon.

Isolation is buildah's `chroot`: it needs neither cgroups nor namespaces of a kind that many build machines forbid. The
network is the machine's own, so what runs inside is reached on loopback. The base image has the name that the
Dockerfile asks for and is made here of the Python that runs the tests, so that nothing is fetched for it.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

LIMIT_SECONDS = 150.0
PROGRAMS = ("sh", "useradd")
"""What the Dockerfile's own steps call besides Python."""
FILES = (
    "/etc/ld.so.cache",
    "/etc/login.defs",
    "/etc/nsswitch.conf",
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
)
"""What a Debian has beside them, as far as this machine has it; the certificates are those of the package index."""
LIBRARIES = ("libnss_dns.so.2", "libnss_files.so.2", "libgcc_s.so.1", "libstdc++.so.6")
"""Loaded by name while a program runs, or asked for by wheels; no program here is linked with them."""
NOT_COPIED = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "config-*", "EXTERNALLY-MANAGED"
)


class Buildah:
    """One store of images and containers in a folder; `remove` takes all of it away. Skips the test without buildah."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("buildah")
        if program is None:
            pytest.skip("buildah is not installed here")
        self.folder = folder
        self._words = [program, "--storage-driver", "vfs"]
        self._words += ["--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def build(self, context: Path, tag: str) -> None:
        self._run("bud", "--isolation", "chroot", "--pull-never", "--tag", tag, str(context))

    def configuration(self, image: str) -> Mapping[str, Any]:
        """The image's `User`, `Entrypoint`, `Cmd`, `ExposedPorts`, `Labels` and the rest of its OCI configuration."""
        shown = json.loads(self._run("inspect", "--type", "image", image))
        configuration: Mapping[str, Any] = shown["OCIv1"]["config"]
        return configuration

    def start(self, image: str, words: list[str], variables: Mapping[str, str], output: Path) -> "Container":
        container = self._run("from", "--pull-never", image).strip()
        settings = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        with output.open("wb") as written:
            process = subprocess.Popen(
                [*self._words, "run", "--isolation", "chroot", *settings, container, "--", *words],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        return Container(process)

    def remove(self) -> None:
        for words in (["rm", "--all"], ["rmi", "--all", "--force"]):
            subprocess.run([*self._words, *words], check=False, capture_output=True, timeout=LIMIT_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._words, *words], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        assert done.returncode == 0, f"buildah {words[0]} ended with {done.returncode}: {done.stderr[-3000:]}"
        return done.stdout


class Container:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def server(self) -> psutil.Process:
        """The process of the image's entry point: the innermost of those that buildah wraps around it."""
        return psutil.Process(self._process.pid).children(recursive=True)[-1]

    def stop(self) -> int:
        """What `docker stop` does: SIGTERM to the entry point. Answers with its exit code."""
        within = psutil.Process(self._process.pid).children() if self._process.poll() is None else []
        if within:
            self.server().terminate()
        return self._process.wait(LIMIT_SECONDS)


def make_base(buildah: Buildah, tag: str) -> None:
    """An image with this machine's Python, pip and a shell. Skips the test where not even that can be built."""
    context = buildah.folder / "base"
    root = context / "root"
    _lay_out(root)
    path = f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    variables = " ".join(f"{name}={value}" for name, value in {"PATH": path, **_index()}.items())
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\nENV {variables}\nRUN python -m pip --version\n")
    try:
        buildah.build(context, tag)
    except AssertionError as error:
        pytest.skip(f"no image can be built here: {error}")
    finally:
        shutil.rmtree(context)


def _lay_out(root: Path) -> None:
    for folder in ("etc", "tmp", "home", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "var/tmp"):
        (root / folder).mkdir(parents=True)
    # The loader is asked for by a path that begins with one of these; in a Debian they lead to the folders of /usr.
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").chmod(0o1777)
    for name, line in {
        "passwd": "root:x:0:0:root:/:/bin/sh",
        "group": "root:x:0:",
        "shadow": "root:*:::::::",
    }.items():
        (root / "etc" / name).write_text(line + "\n")
    for file in FILES:
        if Path(file).exists():
            _copy(Path(file), root)
    _lay_out_python(root)
    programs = [Path(found) for found in map(shutil.which, PROGRAMS) if found]
    for program in programs:
        _copy(program, root)
    binaries = [*programs, *_binaries_of_python()]
    for library in _linked(binaries):
        _copy(library, root)


def _lay_out_python(root: Path) -> None:
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, root / standard.relative_to("/"), ignore=NOT_COPIED, symlinks=True)
    _copy(_program_of_python(), root, Path(sys.base_prefix) / "bin" / "python")
    # Where this Python looks for what pip installs; in a virtual environment `get_path` would name that one's.
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    packages = root / Path(sysconfig.get_path("purelib", vars=base)).relative_to("/")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--python", sys.executable, "--target", packages, "pip"],
        check=True,
        capture_output=True,
        timeout=LIMIT_SECONDS,
    )


def _program_of_python() -> Path:
    return Path(os.path.realpath(sys.executable))


def _binaries_of_python() -> Iterator[Path]:
    yield _program_of_python()
    yield from (Path(sysconfig.get_path("stdlib")) / "lib-dynload").glob("*.so")


def _linked(binaries: list[Path]) -> list[Path]:
    """The shared libraries that these need, each by the path under which the loader looks for it."""
    shown = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False, timeout=60).stdout
    found = {
        Path(word) for line in shown.splitlines() if not line.endswith(":") for word in line.split() if word[0] == "/"
    }
    # What is loaded by name lies beside the C library.
    beside = {library.parent for library in found if library.name == "libc.so.6"}
    found |= {folder / name for folder in beside for name in LIBRARIES if (folder / name).exists()}
    return sorted(found)


def _copy(source: Path, root: Path, target: Path | None = None) -> None:
    placed = root / (target or source).relative_to("/")
    placed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, placed)


def _index() -> dict[str, str]:
    """How pip in the image reaches the index that this machine reaches."""
    found = {name: os.environ[name] for name in ("PIP_INDEX_URL", "http_proxy", "https_proxy") if os.environ.get(name)}
    return {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt", **found}
