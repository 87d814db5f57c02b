"""Where a user's code runs: templates that fork, replicas that predict, the wrapper around a job.

Standard library only, Python 3.9 and later; faster libraries are used when they are found. It knows nothing of the
rest of Modelyard: orders arrive as a JSON file (`orders`), requests as frames (`frames`).
"""

from importlib import import_module

__version__ = "0.1.0"

_EXPORTS = {
    "log_metric": "modelyard_worker.metrics",
}
"""What users import from here, each with its module: a process imports only what it uses."""


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
