"""Code and model together as one tree: what a worker runs.

The tree holds `package.json` (its format stands in `modelyard_worker.packages`), `code/...` and `model/...`. It is
canonical: the same predictor, code and model give the same digest, so a deploy that changes nothing is seen as such.
Without a predictor the code is left out, so that touching a script does not replace replicas that never run it; only
what a bare model requires stands in its place.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Protocol, TypeVar, cast

from modelyard_worker.packages import FORMAT, PACKAGE, EnvironmentSpec

from modelyard.errors import InvalidValue
from modelyard.packaging.frameworks import (
    DEFAULT_REQUIREMENTS,
    FOLDER_FRAMEWORKS,
    HEAD_BYTES,
    Detection,
    Head,
    detect,
    loader_for,
)
from modelyard.packaging.requirements import LOCK, REQUIREMENTS, requested_environment

HEAD_READ_BYTES_MAX = 256 * 2**20
"""Larger files are judged by their names alone, because the store hands out whole files."""

CONFIG_BYTES_MAX = 256 * 2**10
"""The predictor's configuration as JSON."""

_FROM_REQUIREMENTS = EnvironmentSpec(None, REQUIREMENTS, "", None)


class StoredFile(Protocol):
    """One file of a tree in the store."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def executable(self) -> bool: ...


FileT = TypeVar("FileT", bound=StoredFile)


class Artifacts(Protocol[FileT]):
    """What building a package needs of the artifact store; see `modelyard.store.ports`."""

    def put_bytes(self, content: bytes) -> str: ...
    def read(self, sha256: str) -> bytes: ...
    def tree(self, digest: str) -> list[FileT]: ...
    def put_tree(self, files: Sequence[FileT]) -> str: ...
    def put_folder(self, folder: Path) -> str: ...


@dataclass(frozen=True, slots=True)
class _Predictor:
    path: str
    class_name: str | None
    config: dict[str, Any]
    python_path: str | None
    app: str | None
    tracker: Mapping[str, Any] | None
    handler: str | None
    runtime: str | None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "path": self.path,
            "class": self.class_name,
            "config": self.config,
            "python_path": self.python_path,
        }
        # Left out where there is none, so that the digests of packages without them stay what they were.
        if self.app is not None:
            document["app"] = self.app
        if self.tracker is not None:
            document["tracker"] = dict(self.tracker)
        if self.handler is not None:
            document["handler"] = self.handler
        if self.runtime is not None:
            document["runtime"] = self.runtime
        return document


def build_package(
    artifacts: Artifacts[FileT],
    *,
    predictor: Mapping[str, Any] | None,
    code_tree: str | None,
    model_tree: str | None,
    app: Mapping[str, Any] | None = None,
    model_name: str | None = None,
    model_version: int | None = None,
    framework: str | None = None,
    libraries: Sequence[str] | None = None,
) -> str:
    """Stores the package and returns its digest. `libraries` is what its models need that lie in a folder outside of
    it; given, the package may have neither a model nor a predictor.

    `predictor` is `{path, class?, config?, python_path?, python?, app?, handler?, runtime?}`, its paths relative to the
    code. `framework` is what is known of the model already; None lets its files tell. `app` is `{command, environment?,
    health?, path?, python?}` in place of either. Raises InvalidValue where nothing could run, NotFound where
    a tree is not in the store.
    """
    if app is not None:
        return _build_app(artifacts, app, artifacts.tree(code_tree) if code_tree else [])
    code = artifacts.tree(code_tree) if code_tree and predictor else []
    model = artifacts.tree(model_tree) if model_tree else []
    parsed = _read_predictor(predictor, code) if predictor else None
    detection = _detect_model(artifacts, model, framework, has_predictor=parsed is not None) if model_tree else None
    if parsed is None and detection is None and libraries is None:
        raise InvalidValue(
            "cannot build a package from nothing: neither a model nor a predictor is given",
            "name a `model`, or a `predictor` with a `path`",
        )
    document = {
        "format": FORMAT,
        "predictor": parsed.document() if parsed else None,
        "model": _model_document(detection, model_name, model_version) if detection else None,
        "libraries": list(detection.libraries if detection else libraries or ()),
    }
    if parsed is None and detection is not None:
        code = _model_requirements(artifacts, model, detection)
        document |= {"environment": _FROM_REQUIREMENTS._asdict()} if code else {}
    if predictor and parsed is not None:
        environment = _read_environment(artifacts, code, parsed.path, predictor.get("python"))
        # Left out where there is none, so that a package of before has the digest that it had.
        document |= {"environment": environment} if environment else {}
    return _store(artifacts, document, code, model)


def _build_app(artifacts: Artifacts[FileT], app: Mapping[str, Any], code: Sequence[FileT]) -> str:
    path = app.get("path")
    started = {name: app[name] for name in ("command", "environment", "health") if app.get(name)}
    document: dict[str, Any] = {"format": FORMAT, "predictor": None, "model": None, "libraries": [], "app": started}
    environment = _read_environment(artifacts, code, str(path) if path else None, app.get("python"))
    return _store(artifacts, document | ({"environment": environment} if environment else {}), code, [])


def read_document(artifacts: Artifacts[FileT], digest: str) -> dict[str, Any]:
    """The `package.json` of a package in the store. Raises NotFound, InvalidValue where the tree is no package."""
    file = next((one for one in artifacts.tree(digest) if one.path == PACKAGE), None)
    if file is None or file.size_bytes > CONFIG_BYTES_MAX:
        raise InvalidValue(f"cannot use {digest} as a package: it has no {PACKAGE}")
    try:
        document: Any = json.loads(artifacts.read(file.sha256))
    except ValueError as error:
        raise InvalidValue(f"cannot read the {PACKAGE} of {digest}: {error}") from error
    if not isinstance(document, dict) or cast("dict[str, Any]", document).get("format") != FORMAT:
        raise InvalidValue(f"cannot use {digest} as a package: its {PACKAGE} is not of format {FORMAT}")
    return cast("dict[str, Any]", document)


def with_lock(artifacts: Artifacts[FileT], package: str, lock: str, python_version: str) -> str:
    """The same package with its requirements resolved: the digest of its tree with a lock beside `package.json`.

    `python_version` is the one that the lock was made for, which the package asks for from then on."""
    files = {file.path: file for file in artifacts.tree(package)}
    document = read_document(artifacts, package)
    if not document.get("environment"):
        return package
    python = ".".join(python_version.split(".")[:2])
    asked = document["environment"].get("python")
    document["environment"] |= {"lock": LOCK, "python": asked if asked and asked.startswith(python) else python}
    for path, content in ((LOCK, lock.encode()), (PACKAGE, _encoded(document))):
        sha256 = artifacts.put_bytes(content)
        files[path] = replace(files[PACKAGE], path=path, sha256=sha256, size_bytes=len(content), executable=False)
    return artifacts.put_tree(sorted(files.values(), key=lambda file: file.path))


def with_model(
    artifacts: Artifacts[FileT],
    package: str,
    model_tree: str,
    *,
    name: str | None = None,
    version: int | None = None,
    framework: str | None = None,
) -> str:
    """The digest of a package with the same predictor and code, and another model. Raises as `build_package`."""
    document = read_document(artifacts, package)
    predictor: dict[str, Any] | None = document.get("predictor")
    code_tree = None
    if predictor is not None:
        files = [one for one in artifacts.tree(package) if one.path.startswith("code/")]
        code_tree = artifacts.put_tree([replace(one, path=one.path.removeprefix("code/")) for one in files])
        environment: dict[str, Any] = document.get("environment") or {}
        predictor = {**predictor, "python": environment.get("python")}
    return build_package(
        artifacts,
        predictor=predictor,
        code_tree=code_tree,
        model_tree=model_tree,
        model_name=name,
        model_version=version,
        framework=framework,
    )


def detect_tree(artifacts: Artifacts[FileT], files: Sequence[FileT]) -> Detection:
    """The framework of a model in the store."""
    return detect([file.path for file in files], _head_reader(artifacts, files))


def _read_predictor(predictor: Mapping[str, Any], code: Sequence[StoredFile]) -> _Predictor:
    path = str(predictor.get("path") or "")
    if not path:
        raise InvalidValue("cannot build a package: the predictor has no path", "name the file of its class")
    path = _inside(path, "predictor.path")
    paths = {file.path for file in code}
    if path not in paths:
        near = ", ".join(sorted(one for one in paths if one.endswith(".py"))[:5]) or "there is no Python file"
        raise InvalidValue(f"cannot find the predictor {path} in the code", f"files there: {near}")
    python_path = predictor.get("python_path")
    if python_path is not None:
        python_path = _inside(str(python_path), "predictor.python_path")
        if python_path != "." and not any(one.startswith(f"{python_path}/") for one in paths):
            raise InvalidValue(f"cannot find the folder {python_path} of predictor.python_path in the code")
    config: dict[str, Any] = dict(predictor.get("config") or {})
    class_name = predictor.get("class")
    return _Predictor(
        path,
        str(class_name) if class_name else None,
        config,
        python_path,
        predictor.get("app"),
        predictor.get("tracker"),
        predictor.get("handler"),
        predictor.get("runtime"),
    )


def _read_environment(
    artifacts: Artifacts[FileT], code: Sequence[FileT], program: str | None, python: str | None
) -> dict[str, Any] | None:
    by_path = {file.path: file for file in code}
    spec = requested_environment(by_path, lambda path: artifacts.read(by_path[path].sha256), program, python)
    return spec._asdict() if spec is not None else None


def _model_requirements(artifacts: Artifacts[FileT], model: Sequence[FileT], detection: Detection) -> list[FileT]:
    """The requirements.txt of a bare model: what lies beside it, else what its framework needs; none where the yard's
    own environment has that."""
    beside = PurePosixPath(detection.file or REQUIREMENTS)
    folder = beside if detection.framework in FOLDER_FRAMEWORKS and detection.file else beside.parent
    own = next((file for file in model if file.path == str(folder / REQUIREMENTS)), None)
    if own is not None:
        return [replace(own, path=REQUIREMENTS)]
    needed = DEFAULT_REQUIREMENTS.get(detection.framework) if detection.framework else None
    if needed is None or find_spec(needed.module) is not None:
        return []
    content = "".join(f"{line}\n" for line in needed.lines).encode()
    digest = artifacts.put_bytes(content)
    return [replace(model[0], path=REQUIREMENTS, sha256=digest, size_bytes=len(content), executable=False)]


def _inside(path: str, field: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or "\\" in path:
        raise InvalidValue(f"cannot use {path!r} as {field}: it must be relative, with / and without ..")
    return str(pure)


def _detect_model(
    artifacts: Artifacts[FileT], model: Sequence[FileT], framework: str | None, *, has_predictor: bool
) -> Detection:
    if not model:
        raise InvalidValue("cannot build a package: the model has no file")
    paths = [file.path for file in model]
    head = _head_reader(artifacts, model)
    if has_predictor:
        # A predictor reads the model as it likes; what is found here only spares the template's imports.
        return detect(paths, head)
    found = loader_for(framework, paths, head) if framework else detect(paths, head)
    if found.framework is None:
        raise InvalidValue(
            f"cannot serve the model without a predictor: {found.reason}",
            "write a predictor, or name a single model file: .ubj, .joblib, .lgb, .cbm, .onnx, .pt2, .keras, ...",
        )
    return found


def _head_reader(artifacts: Artifacts[FileT], files: Sequence[FileT]) -> Head:
    by_path = {file.path: file for file in files}

    @cache
    def head(path: str) -> bytes:
        file = by_path[path]
        return artifacts.read(file.sha256)[:HEAD_BYTES] if file.size_bytes <= HEAD_READ_BYTES_MAX else b""

    return head


def _model_document(detection: Detection, name: str | None, version: int | None) -> dict[str, Any]:
    return {"name": name, "version": version, "framework": detection.framework, "file": detection.file}


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"cannot write the predictor's config as JSON: {error}") from error


def _store(artifacts: Artifacts[FileT], document: dict[str, Any], code: Sequence[FileT], model: Sequence[FileT]) -> str:
    content = _encoded(document)
    if len(content) > CONFIG_BYTES_MAX:
        raise InvalidValue(
            f"cannot build a package: the predictor's config has more than {CONFIG_BYTES_MAX} bytes",
            "put large values into a file of the project",
        )
    files = [replace(file, path=f"code/{file.path}") for file in code]
    files += [replace(file, path=f"model/{file.path}") for file in model]
    if not files:
        return _store_alone(artifacts, content)
    described = replace(
        files[0], path=PACKAGE, sha256=artifacts.put_bytes(content), size_bytes=len(content), executable=False
    )
    return artifacts.put_tree(sorted([described, *files], key=lambda file: file.path))


def _store_alone(artifacts: Artifacts[FileT], content: bytes) -> str:
    """A package whose models lie elsewhere: it has no other file."""
    with TemporaryDirectory(prefix="modelyard-package-") as folder:
        (Path(folder) / PACKAGE).write_bytes(content)
        return artifacts.put_folder(Path(folder))
