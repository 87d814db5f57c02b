"""Model files as they lie there: which one a folder means, what a file is, and which framework's, by its content."""

import os
import re
import zipfile
from typing import List, NamedTuple, Optional

HEAD_BYTES = 64
MLMODEL = "MLmodel"
SAVED_MODEL = "saved_model.pb"


class Kind(NamedTuple):
    words: str
    """What it is, in words that follow `it is`."""
    framework: Optional[str] = None
    """The loader's name; None where the content does not say."""


_PICKLE = Kind("a Python pickle or joblib file")
_COMPRESSED = Kind("a compressed joblib file")
_BEGINNINGS = (
    (b"\x80", _PICKLE),
    (b"\x78\x01", _COMPRESSED),
    (b"\x78\x5e", _COMPRESSED),
    (b"\x78\x9c", _COMPRESSED),
    (b"\x78\xda", _COMPRESSED),
    (b"\x1f\x8b", Kind("a gzip file")),
    (b"BZh", Kind("a bzip2 file")),
    (b"\xfd7zXZ", Kind("an xz file")),
    (b"\x89HDF", Kind("an HDF5 file")),
    (b"\x93NUMPY", Kind("a NumPy array")),
    (b"binf", Kind("a model in XGBoost's old binary format", "xgboost")),
    (b"{L", Kind("UBJSON, as XGBoost writes it", "xgboost")),
    (b"tree\n", Kind("a LightGBM model in text", "lightgbm")),
    (b"CBM1", Kind("a CatBoost model", "catboost")),
)
COMPRESSED = _COMPRESSED.words
PICKLES = frozenset((_PICKLE.words, COMPRESSED))

TORCHSCRIPT = Kind("a PyTorch file with TorchScript", "pytorch")
EXPORTED = Kind("a PyTorch file with an exported program", "pytorch")
SAVED = Kind("a PyTorch file as torch.save writes it", "pytorch")
_ZIPPED = (
    (re.compile(r"(^|/)code/.*\.py$"), TORCHSCRIPT),
    (re.compile(r"(^|/)(archive_format|serialized_exported_program\.json)$"), EXPORTED),
    (re.compile(r"(^|/)data\.pkl$"), SAVED),
    (re.compile(r"^model\.weights\.h5$"), Kind("a Keras model", "keras")),
    (re.compile(r"^schema\.json$"), Kind("a skops file", "skops")),
    (re.compile(r"^algorithm\.npy$"), Kind("a model of an algorithm that is built in", "builtin")),
    (re.compile(r"\.npy$"), Kind("an NPZ file of NumPy arrays")),
)
"""What a zip archive is by a file in it; the first line that any file answers holds."""

_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
"""An ONNX file is a protobuf message whose first field is its version, a small number."""


def model_file(path: str) -> str:
    """The file itself: `path`, or what the folder `path` means: itself where it is a model's, else its only file.

    Raises FileNotFoundError naming what is there.
    """
    if os.path.isfile(path) or _folder_kind(path) is not None:
        return path
    if not os.path.isdir(path):
        raise FileNotFoundError(f"cannot load {path}: there is no such file")
    found: List[str] = sorted(
        name for name in os.listdir(path) if not name.startswith(".") and os.path.isfile(os.path.join(path, name))
    )
    if len(found) != 1:
        listed = ", ".join(found[:5]) or "none"
        raise FileNotFoundError(f"cannot load {path}: it must hold one model file, it holds {len(found)} ({listed})")
    return os.path.join(path, found[0])


def head(path: str) -> bytes:
    """The first bytes of a file, empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def describe_file(path: str) -> str:
    """What a file is, in words that follow `it is`."""
    return file_kind(path).words


def framework_of(path: str) -> Optional[str]:
    """The name of the loader whose file or folder this is by its content; None where that does not say."""
    return file_kind(path).framework


def file_kind(path: str) -> Kind:
    """What a file or a folder is."""
    if os.path.isdir(path):
        return _folder_kind(path) or Kind("a folder")
    begins = head(path)
    if not begins:
        return Kind("empty or not readable")
    if begins.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    return next((kind for beginning, kind in _BEGINNINGS if begins.startswith(beginning)), None) or _text_kind(begins)


def _text_kind(begins: bytes) -> Kind:
    if begins.lstrip()[:1] in (b"{", b"["):
        return Kind("a JSON file", "xgboost" if b'"learner"' in begins else None)
    if _ONNX.match(begins):
        return Kind("an ONNX model", "onnx")
    try:
        begins.decode("ascii")
    except UnicodeDecodeError:
        return Kind(f"a file that begins with {begins[:4].hex()}")
    return Kind("a text file")


def _folder_kind(path: str) -> Optional[Kind]:
    if os.path.isfile(os.path.join(path, MLMODEL)):
        return Kind("an MLflow model", "mlflow")
    if os.path.isfile(os.path.join(path, SAVED_MODEL)):
        return Kind("a TensorFlow SavedModel", "tensorflow")
    return None


def _zip_kind(path: str) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return Kind("a zip archive that is cut short or damaged")
    for pattern, kind in _ZIPPED:
        if any(pattern.search(name) for name in names):
            return kind
    return Kind("a zip archive")
