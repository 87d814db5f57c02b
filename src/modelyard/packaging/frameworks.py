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
    SKOPS = "skops"
    LIGHTGBM = "lightgbm"
    CATBOOST = "catboost"
    ONNX = "onnx"
    PYTORCH = "pytorch"
    KERAS = "keras"
    TENSORFLOW = "tensorflow"
    MLFLOW = "mlflow"
    BUILTIN = "builtin"  # of an algorithm of the yard's own


LIBRARIES: dict[Framework, tuple[str, ...]] = {
    Framework.XGBOOST: ("xgboost",),
    # The package alone is little more than its name; with ensembles come linear models, trees and pipelines.
    Framework.SKLEARN: ("sklearn.ensemble",),
    Framework.SKOPS: ("sklearn.ensemble", "skops.io"),
    Framework.LIGHTGBM: ("lightgbm",),
    Framework.CATBOOST: ("catboost",),
    # Importing it starts a thread, and a process with threads cannot be forked.
    Framework.ONNX: (),
    Framework.PYTORCH: ("torch",),
    # Which library computes is decided when Keras is imported, by the replica's environment.
    Framework.KERAS: (),
    Framework.TENSORFLOW: ("tensorflow",),
    # What the model is made of is imported with it.
    Framework.MLFLOW: (),
    Framework.BUILTIN: ("numpy",),
}
"""What a template imports before it forks for a model of this framework; the same as its loader's `libraries`."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a framework's loader needs of an environment."""

    module: str
    """Installed where this can be imported."""
    lines: tuple[str, ...]
    """Of a requirements.txt; PyTorch's ordinary wheels bring CUDA's libraries, gigabytes of them."""


DEFAULT_REQUIREMENTS: dict[Framework, Requirement] = {
    Framework.SKOPS: Requirement("skops", ("skops>=0.11", "scikit-learn", "joblib")),
    Framework.LIGHTGBM: Requirement("lightgbm", ("lightgbm>=4", "scikit-learn")),
    Framework.CATBOOST: Requirement("catboost", ("catboost>=1.2",)),
    Framework.ONNX: Requirement("onnxruntime", ("onnxruntime>=1.20",)),
    Framework.PYTORCH: Requirement("torch", ("# torch-backend: cpu", "torch>=2.5", "numpy")),
    Framework.KERAS: Requirement("keras", ("keras>=3.6", "jax")),
    Framework.TENSORFLOW: Requirement("tensorflow", ("tensorflow>=2.16",)),
    Framework.MLFLOW: Requirement("mlflow", ("mlflow>=2.16",)),
}
"""For a bare model whose framework the yard's own environment lacks, where no requirements are beside it. XGBoost and
scikit-learn are there always."""

ALGORITHM_REQUIREMENTS: dict[str, Requirement] = {
    "stl-esd": Requirement("statsmodels", ("statsmodels>=0.14", "numpy")),
    "autoencoder": DEFAULT_REQUIREMENTS[Framework.PYTORCH],
}
"""What a built-in algorithm needs to train, where the yard's own environment lacks it."""

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
_MAGIC = ((b"tree\n", Framework.LIGHTGBM), (b"CBM1", Framework.CATBOOST))
"""First bytes that say it whatever the file is called."""

_ZIP_HEAD = b"PK\x03\x04"
_BY_SUFFIX: dict[str, tuple[Framework, tuple[bytes, ...]]] = {
    ".lgb": (Framework.LIGHTGBM, (b"tree\n",)),
    ".lgbm": (Framework.LIGHTGBM, (b"tree\n",)),
    ".cbm": (Framework.CATBOOST, (b"CBM1",)),
    ".onnx": (Framework.ONNX, (b"\x08",)),
    ".pt": (Framework.PYTORCH, (_ZIP_HEAD,)),
    ".pt2": (Framework.PYTORCH, (_ZIP_HEAD,)),
    ".pth": (Framework.PYTORCH, (_ZIP_HEAD,)),
    ".keras": (Framework.KERAS, (_ZIP_HEAD,)),
    ".skops": (Framework.SKOPS, (_ZIP_HEAD,)),
    ".mym": (Framework.BUILTIN, (_ZIP_HEAD,)),
}
"""File name's ending -> framework, and how such a file begins."""

_FOLDERS = {"MLmodel": Framework.MLFLOW, "saved_model.pb": Framework.TENSORFLOW}
"""A file that makes the folder around it the model, with everything below."""

FOLDER_FRAMEWORKS = frozenset(_FOLDERS.values())
"""Their models are folders."""

_LOOKED_INTO = frozenset(("", ".txt", ".bin", *_XGBOOST_SUFFIXES))
"""Endings that say nothing of the framework; files with others are not read."""

_IN_WORDS = {
    Framework.LIGHTGBM: "a LightGBM model",
    Framework.CATBOOST: "a CatBoost model",
    Framework.ONNX: "an ONNX model",
    Framework.PYTORCH: "a PyTorch file",
    Framework.KERAS: "a Keras model",
    Framework.TENSORFLOW: "a TensorFlow SavedModel",
    Framework.MLFLOW: "an MLflow model",
    Framework.SKOPS: "a skops file",
    Framework.BUILTIN: "a model of an algorithm that is built in",
}
"""Those whose files are nothing else. Under the names of XGBoost's and pickle's there is all sorts."""

_WITHOUT_LOADER = {
    ".pt": "a PyTorch file without code (a state_dict): save the model with torch.jit.save or torch.export.save",
    ".pth": "a PyTorch file without code (a state_dict): save the model with torch.jit.save or torch.export.save",
    ".pt2": "a PyTorch file, but damaged",
    ".safetensors": "weights without code (safetensors)",
    ".h5": "Keras's old HDF5 format: save the model as .keras",
    ".hdf5": "Keras's old HDF5 format: save the model as .keras",
    ".keras": "a Keras file, but damaged",
    ".onnx": "an ONNX file, but damaged",
    ".cbm": "a CatBoost file, but damaged",
    ".skops": "a skops file, but damaged",
    ".mym": "a model of an algorithm that is built in, but damaged",
    ".lgb": "a LightGBM file, but damaged",
    ".lgbm": "a LightGBM file, but damaged",
}
"""What a file that no loader takes looks like by its name."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What the files are. `framework` is None where they need a predictor; then `reason` says why."""

    framework: Framework | None
    file: str | None
    """The model's file or folder among them; None where all of them together are the model."""
    libraries: tuple[str, ...]
    reason: str | None = None


def detect(paths: Iterable[str], head: Head) -> Detection:
    """The framework of a model with files at `paths`. Never raises for what the files are; `head` may."""
    listed = sorted(paths)
    found = _models_in(listed, head)
    if len(found) == 1:
        path, framework = found[0]
        return _detection(path, framework, head)
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
    models = _models_in(listed, head)
    found = [path for path, framework in models if framework is wanted]
    if not found and len(listed) == 1:
        _refuse_another(listed[0], models, wanted)
        # Whoever names the framework knows better than the file's name does.
        found = listed
    if len(found) != 1:
        how_many = f"{len(found)} files" if found else "no file"
        raise InvalidValue(
            f"cannot load the model as {framework}: {how_many} of it look like that: {', '.join(found or listed)}",
            "keep one model file, or write a predictor",
        )
    return _detection(found[0], wanted, head)


def _refuse_another(path: str, models: list[tuple[str, Framework]], wanted: Framework) -> None:
    """A file that is surely something else is refused here rather than in every replica."""
    other = next((framework for _, framework in models), None)
    if other is not None and other in _IN_WORDS:
        raise InvalidValue(
            f"cannot load the model: {path} is {_IN_WORDS[other]}; it does not load as {wanted}",
            f"write `framework: {other}`, or leave it out",
        )


def _models_in(listed: list[str], head: Head) -> list[tuple[str, Framework]]:
    """Each model among the files, by its path; that of a folder is `.` where it is the root."""
    folders = {
        str(PurePosixPath(path).parent): framework
        for path in listed
        if (framework := _FOLDERS.get(PurePosixPath(path).name)) is not None
    }
    # An MLflow model may have another's folder inside it; the outermost is what was meant.
    outer = {one: kind for one, kind in folders.items() if not any(_is_below(one, other) for other in folders)}
    files = [
        (path, framework)
        for path in listed
        if not any(_is_below(path, folder) for folder in outer) and (framework := _framework_of(path, head)) is not None
    ]
    return sorted([*outer.items(), *files])


def _is_below(path: str, folder: str) -> bool:
    return path != folder and (folder == "." or path.startswith(f"{folder}/"))


def _detection(path: str, framework: Framework, head: Head) -> Detection:
    if framework in FOLDER_FRAMEWORKS:
        return Detection(framework, None if path == "." else path, LIBRARIES[framework])
    return Detection(framework, path, _libraries(framework, head(path)))


def _framework_of(path: str, head: Head) -> Framework | None:
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    if suffix in _BY_SUFFIX:
        framework, beginnings = _BY_SUFFIX[suffix]
        first = head(path)
        return framework if not first or first.startswith(beginnings) else None
    if suffix in _PICKLE_SUFFIXES:
        first = head(path)
        return Framework.SKLEARN if not first or first.startswith((*_PICKLE_HEADS, *_COMPRESSED_HEADS)) else None
    if suffix == ".json":
        return Framework.XGBOOST if _is_xgboost_json(head(path)) else None
    return _framework_by_head(name, suffix, head(path)) if suffix in _LOOKED_INTO else None


def _framework_by_head(name: str, suffix: str, first: bytes) -> Framework | None:
    known = next((framework for magic, framework in _MAGIC if first.startswith(magic)), None)
    if known is not None:
        return known
    if name == _XGBOOST_NAME or suffix in _XGBOOST_SUFFIXES:
        # SageMaker's older containers pickled the booster under the same name; that is no file XGBoost reads.
        return None if first.startswith(_PICKLE_HEADS) else Framework.XGBOOST
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
            return f"{path} looks like {kind}"
    shown = ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")
    return f"no file looks like a model of {', '.join(Framework)}: {shown}"
