"""Model files as they lie there: which one a folder means, and what a file is by its first bytes."""

import os
from typing import List

HEAD_BYTES = 64

_BEGINNINGS = (
    (b"\x80", "a Python pickle or joblib file"),
    (b"\x78\x01", "a compressed joblib file"),
    (b"\x78\x5e", "a compressed joblib file"),
    (b"\x78\x9c", "a compressed joblib file"),
    (b"\x78\xda", "a compressed joblib file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"PK\x03\x04", "a zip archive (PyTorch, Keras, skops and NPZ files are)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"binf", "a model in XGBoost's old binary format"),
    (b"tree\n", "a LightGBM model in text"),
    (b"{L", "UBJSON, as XGBoost writes it"),
)

PICKLES = frozenset(kind for _, kind in _BEGINNINGS[:5])


def model_file(path: str) -> str:
    """The file itself: `path`, or the only file in the folder `path`. Raises FileNotFoundError naming what is there."""
    if os.path.isfile(path):
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
    if os.path.isdir(path):
        return "a folder"
    begins = head(path)
    if not begins:
        return "empty or not readable"
    kind = next((kind for beginning, kind in _BEGINNINGS if begins.startswith(beginning)), None)
    if kind is not None:
        return kind
    if begins.lstrip()[:1] in (b"{", b"["):
        return "a JSON file"
    try:
        begins.decode("ascii")
    except UnicodeDecodeError:
        return f"a file that begins with {begins[:4].hex()}"
    return "a text file"
