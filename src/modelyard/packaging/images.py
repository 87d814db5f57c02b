"""A folder from which a container's image can be built that serves one package, in SageMaker's container contract."""

import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modelyard_worker.packages import Package

from modelyard.errors import Conflict
from modelyard.packaging.environments import torch_backend
from modelyard.packaging.requirements import LOCK
from modelyard.packaging.worker_wheel import worker_wheel

PORT = 8080
"""SageMaker's."""

_BASE_LIBRARIES = ("numpy", "scikit-learn", "joblib", "xgboost-cpu", "pandas", "orjson")
"""What a package without requirements of its own finds in the yard's environment, as far as it is installed."""

_SYSTEM_LIBRARIES = {"lightgbm": "libgomp1"}
"""Debian's packages that a library's wheel is linked with and does not carry, as far as the slim image is without."""

_DOCKERFILE = """\
# Serves one Modelyard package: GET /ping and POST /invocations on port {port}, as SageMaker wants it.
#   docker build -t NAME .
#   docker run -p {port}:{port} NAME serve
FROM python:{python}-slim
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/modelyard
{system}COPY {lock} ./
RUN {install}
COPY {wheel} ./
RUN python -m pip install --no-deps --no-index ./{wheel}
COPY package ./package
RUN useradd --create-home modelyard
USER modelyard
EXPOSE {port}
ENTRYPOINT ["python", "-m", "modelyard_worker.serve", "/srv/modelyard/package"]
CMD ["serve"]
"""


def write_context(folder: Path, package: Package, python_version: str, lock: str | None) -> None:
    """Writes `Dockerfile`, the package, its lock and the worker's wheel into `folder`, which must not hold anything.

    `lock` None stands for the yard's own environment: its libraries in the versions that are installed here. Raises
    Conflict.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"cannot write into {folder}: it is not empty", "name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(package.folder, folder / "package", copy_function=shutil.copyfile)
    wheel = worker_wheel()
    (folder / wheel.name).write_bytes(wheel.content)
    text = _own_lock() if lock is None else lock
    (folder / LOCK).write_text(text)
    minor = ".".join(python_version.split(".")[:2])
    words = {"port": PORT, "python": minor, "lock": LOCK, "wheel": wheel.name}
    steps = {"system": _install_system_libraries(text), "install": _install(text)}
    (folder / "Dockerfile").write_text(_DOCKERFILE.format(**words, **steps))


def _install_system_libraries(lock: str) -> str:
    named = {line.partition("==")[0].strip() for line in lock.splitlines()}
    packages = sorted({package for library, package in _SYSTEM_LIBRARIES.items() if library in named})
    if not packages:
        return ""
    install = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    return f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*\n"


def _install(lock: str) -> str:
    backend = " ".join(torch_backend(lock))
    if not backend:
        return f"python -m pip install -r {LOCK}"
    # Where PyTorch's builds are to be found is known to uv, and not to pip.
    return f"python -m pip install uv && uv pip install --system --no-cache {backend} -r {LOCK}"


def _own_lock() -> str:
    return "".join(f"{name}=={found}\n" for name, found in _installed().items())


def _installed() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in _BASE_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
