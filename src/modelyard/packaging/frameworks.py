"""Which framework a model's files are of: by their names, and by their first bytes where names do not tell.

A loader in `modelyard_worker` has the name that is found here. Files beside the model (metrics, a README) do no harm as
long as one file alone looks like a model.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from modelyard.errors import InvalidValue

HEAD_BYTES = 4096
"""How much of a file is looked at."""

Head = Callable[[str], bytes]
"""The first HEAD_BYTES of the file at a path; nothing where they are not to be had, and its name alone counts."""


class Framework(StrEnum):
    XGBOOST = "xgboost"
    SKLEARN = "sklearn"


LIBRARIES: dict[Framework, tuple[str, ...]] = {
    Framework.XGBOOST: ("xgboost",),
    Framework.SKLEARN: ("sklearn",),
}
"""What a template imports before it forks for a model of this framework."""

_XGBOOST_SUFFIXES = (".ubj", ".bst", ".model", ".deprecated")
_XGBOOST_NAME = "xgboost-model"
_PICKLE_SUFFIXES = (".joblib", ".pkl", ".pickle")
_PICKLE_HEADS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_COMPRESSED_HEADS = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b'\x04"M\x18',
    b"]\x00\x00",
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
)
_WITHOUT_LOADER = {
    ".onnx": "ONNX",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "safetensors",
    ".keras": "Keras",
    ".h5": "Keras",
    ".txt": None,
    ".cbm": "CatBoost",
}


@dataclass(frozen=True, slots=True)
class Detection:
    """What the files are. `framework` is None where they need a predictor; then `reason` says why."""

    framework: Framework | None
    file: str | None
    libraries: tuple[str, ...]
    reason: str | None = None


def detect(paths: Iterable[str], head: Head) -> Detection:
    """The framework of a model with files at `paths`. Never raises for what the files are; `head` may."""
    listed = sorted(paths)
    found = [(path, framework) for path in listed if (framework := _framework_of(path, head)) is not None]
    if len(found) == 1:
        path, framework = found[0]
        return Detection(framework, path, _libraries(framework, head(path)))
    if found:
        named = ", ".join(f"{path} ({framework})" for path, framework in found)
        return Detection(None, None, (), f"several files look like the model: {named}")
    return Detection(None, None, (), _why_nothing(listed))


def loader_for(framework: str, paths: Iterable[str], head: Head) -> Detection:
    """As `detect`, where the framework is known already: only files of that framework count.

    Raises InvalidValue where the framework has no loader, or where not exactly one file is of it.
    """
    known = [one.value for one in Framework]
    if framework not in known:
        raise InvalidValue(
            f"cannot load a model of framework {framework!r}", f"known are {', '.join(known)}; else write a predictor"
        )
    wanted = Framework(framework)
    listed = sorted(paths)
    found = [path for path in listed if _framework_of(path, head) is wanted]
    if not found and len(listed) == 1:
        # Whoever names the framework knows better than the file's name does.
        found = listed
    if len(found) != 1:
        how_many = f"{len(found)} files" if found else "no file"
        raise InvalidValue(
            f"cannot load the model as {framework}: {how_many} of it look like that: {', '.join(found or listed)}",
            "keep one model file, or write a predictor",
        )
    return Detection(wanted, found[0], _libraries(wanted, head(found[0])))


def _framework_of(path: str, head: Head) -> Framework | None:
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    if suffix in _PICKLE_SUFFIXES:
        first = head(path)
        return Framework.SKLEARN if not first or first.startswith((*_PICKLE_HEADS, *_COMPRESSED_HEADS)) else None
    if suffix == ".json":
        return Framework.XGBOOST if _is_xgboost_json(head(path)) else None
    if name == _XGBOOST_NAME or suffix in _XGBOOST_SUFFIXES:
        # SageMaker's older containers pickled the booster under the same name; that is no file XGBoost reads.
        return None if head(path).startswith(_PICKLE_HEADS) else Framework.XGBOOST
    return None


def _is_xgboost_json(first: bytes) -> bool:
    start = b"".join(first[:64].split())
    return start.startswith((b'{"learner":', b'{"version":[', b'{"Config"'))


def _libraries(framework: Framework, first: bytes) -> tuple[str, ...]:
    libraries = LIBRARIES[framework]
    # scikit-learn's face of XGBoost is pickled by joblib like any other estimator, but needs XGBoost to be read.
    if framework is Framework.SKLEARN and b"xgboost" in first:
        return (*libraries, "xgboost")
    return libraries


def _why_nothing(paths: list[str]) -> str:
    if not paths:
        return "there is no file"
    for path in paths:
        kind = _WITHOUT_LOADER.get(PurePosixPath(path.lower()).suffix)
        if kind is not None:
            return f"{path} looks like {kind}, which has no loader yet"
    shown = ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")
    return f"no file looks like an XGBoost or a scikit-learn model: {shown}"
