"""Finds what is to be served in a predictor's file: a class, SageMaker's functions, or a web application.

An `app` that the package names is taken first, then a class - the one that is named, else Predictor or PythonPredictor,
else a Handler that answers requests as Cortex's later versions have it - then any of `model_fn`, `input_fn`,
`predict_fn`, `output_fn`, `transform_fn`, and at last an application by the name `app` or `application`. The working
directory is the package's code/, and what lies there can be imported.
"""

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, NamedTuple, Optional

from modelyard_worker.packages import Package, PredictorSpec
from modelyard_worker.signatures import CannotServe, answering_method

CLASS_NAMES = ("Predictor", "PythonPredictor")
"""Looked for where a package names no class; the second is Cortex's."""

HANDLER_NAME = "Handler"
"""What Cortex's later versions call it. Other classes are called so too, so it must have a method that answers."""

FUNCTION_NAMES = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
"""SageMaker's (sagemaker.md 7.2); any of them makes a file a predictor."""

APP_NAMES = ("app", "application")
"""As Flask and FastAPI have it, and as WSGI has it."""


class Code(NamedTuple):
    """What a predictor's file holds. Without a class and an application, it has SageMaker's functions."""

    module: ModuleType
    kind: Optional[type] = None
    """The predictor class."""
    app: Optional[Any] = None
    """An ASGI or WSGI application."""
    handler: Optional[Any] = None
    """A function that takes an event and a context."""


def find_code(package: Package, spec: PredictorSpec) -> Code:
    """Imports the predictor's file. Raises CannotServe, or whatever the user's code raises."""
    module = _import_module(package, spec)
    if spec.handler is not None:
        return Code(module, handler=_named_handler(module, spec.handler, spec.path))
    if spec.app is not None:
        return Code(module, app=_named_app(module, spec.app))
    if spec.class_name is not None:
        return Code(module, kind=_named_class(module, spec.class_name, spec.path))
    kinds = [one for one in (getattr(module, name, None) for name in CLASS_NAMES) if isinstance(one, type)]
    handler = getattr(module, HANDLER_NAME, None)
    if not kinds and isinstance(handler, type) and answering_method(handler):
        kinds = [handler]
    if len(kinds) > 1:
        raise CannotServe(
            f"cannot choose a predictor class in {spec.path}: both {' and '.join(CLASS_NAMES)} are there; "
            "name it with `class`"
        )
    if kinds:
        return Code(module, kind=kinds[0])
    if any(callable(getattr(module, name, None)) for name in FUNCTION_NAMES):
        return Code(module)
    app = next((one for one in (getattr(module, name, None) for name in APP_NAMES) if callable(one)), None)
    if app is None:
        raise CannotServe(
            f"cannot find the predictor class in {spec.path}: {_classes_of(module)}; name it with `class`, "
            f"or define {', '.join(FUNCTION_NAMES[:4])}, or an `app`"
        )
    return Code(module, app=app)


def _named_class(module: ModuleType, name: str, path: str) -> type:
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise CannotServe(f"cannot find class {name} in {path}: {_classes_of(module)}")
    return found


def _named_handler(module: ModuleType, name: str, path: str) -> Any:
    found = getattr(module, name, None)
    if not callable(found):
        raise CannotServe(f"cannot find the handler {name} in {path}: there is no function of that name")
    return found


def _named_app(module: ModuleType, name: str) -> Any:
    """`app`, `main:app`, `main:make_app()`: the part before the colon is a module, the predictor's own without it."""
    before, colon, path = name.rpartition(":")
    found: Any = importlib.import_module(before) if colon and before != module.__name__ else module
    for step in path.removesuffix("()").split("."):
        found = getattr(found, step, None)
    if path.endswith("()") and callable(found):
        found = found()
    if not callable(found):
        raise CannotServe(f"cannot find the application {name}: there is nothing of that name that can be called")
    return found


def _classes_of(module: ModuleType) -> str:
    names = [name for name, one in vars(module).items() if isinstance(one, type) and one.__module__ == module.__name__]
    return f"its classes are {', '.join(names)}" if names else "it has no class"


def _import_module(package: Package, spec: PredictorSpec) -> ModuleType:
    code = package.code_folder
    path = os.path.join(code, spec.path)
    if not os.path.isfile(path):
        raise CannotServe(f"cannot find the predictor: there is no {spec.path} in the package's code")
    os.chdir(code)
    roots = [os.path.dirname(path), code, *([os.path.join(code, spec.python_path)] if spec.python_path else [])]
    for root in roots:
        root = os.path.normpath(root)  # noqa: PLW2901 (the same folder, spelled plainly)
        if root in sys.path:
            sys.path.remove(root)
        sys.path.insert(0, root)
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        name = f"modelyard_code_{name}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise CannotServe(f"cannot import {spec.path}: it is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module
