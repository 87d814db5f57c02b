"""Where a user's code runs: templates that fork, replicas that predict, the wrapper around a job.

Standard library only, Python 3.9 and later; faster libraries are used when they are found. It knows nothing of the
rest of Modelyard: orders arrive as a JSON file (`orders`), requests as frames (`frames`).

`Response` is for predictors that set a status, headers or a content type of their own; `log_metric` is for trainings.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard_worker.metrics import log_metric
    from modelyard_worker.response import Response

__all__ = ["Response", "log_metric"]
__version__ = "0.1.0"

_MODULES = {"Response": "modelyard_worker.response", "log_metric": "modelyard_worker.metrics"}
"""What users import from here, by the module that has it: a process imports only what it uses."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
