"""Makes what is served out of a package: a bare model through its loader, or the user's predictor class.

A class is asked once, when it is loaded, what its methods take:

    __init__        config, model, model_dir, loaded
    predict         payload, headers, query_params, context
    predict_batch   payloads: a list in, a list of the same length out
    load            a class method with config, model_dir: called once, in the template where there is one; its result
                    is `loaded`, and so shared by all replicas that are forked

`context` has request_id, attempt (2 where the request was in a replica that died), endpoint, version. The working
directory is the package's code/.
"""

import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from modelyard_worker.answers import write_answer
from modelyard_worker.bare import BareModel
from modelyard_worker.loaders import SHARE, Loader, loader_for, loader_named
from modelyard_worker.packages import Package, PredictorSpec
from modelyard_worker.payloads import Reader, reader_for
from modelyard_worker.request import Request
from modelyard_worker.servable import Answer, Servable, Serving
from modelyard_worker.signatures import CannotServe, asked_by, own_method

CLASS_NAMES = ("Predictor", "PythonPredictor")
"""Looked for where a package names no class; the second is Cortex's."""


class Context(NamedTuple):
    """What `predict` may ask for as `context`."""

    request_id: str
    attempt: int
    endpoint: str
    version: int


class Loaded(NamedTuple):
    """What a template holds ready of one package, for the replicas that it forks."""

    model: Optional[Any]
    """None where the loader wants each replica to load for itself."""
    kind: Optional[type]
    """The predictor class, imported; None for a bare model, or where importing waits for the replica."""
    shared: Optional[Any]
    """What the class's `load` returned."""


def package_loader(package: Package) -> Optional[Loader]:
    """The loader of the package's model; None without a model that a loader knows. Raises LoadFailed."""
    if package.model is None or package.model_path is None:
        return None
    if package.model.framework is not None:
        return loader_named(package.model.framework)
    return loader_for(package.model_path) if package.predictor is None else None


def load_shared(package: Package) -> Loaded:
    """What a template can load once for all. Raises LoadFailed, CannotServe or whatever the user's code raises."""
    loader = package_loader(package)
    model: Optional[Any] = None
    if loader is not None and loader.fork == SHARE and package.model_path is not None:
        model = loader.load(package.model_path)
    if package.predictor is None:
        return Loaded(model, None, None)
    kind = _import_class(package, package.predictor)
    if not _has_load(kind):
        return Loaded(model, kind, None)
    return Loaded(model, kind, _call_load(kind, package, package.predictor))


def load_servable(package: Package, serving: Serving, threads: int, loaded: Optional[Loaded] = None) -> Servable:
    """What a replica serves. `threads` is how many one call of the model may use.

    Raises LoadFailed, CannotServe or whatever the user's code raises.
    """
    loader = package_loader(package)
    if package.predictor is None:
        if loader is None:
            raise CannotServe(f"cannot serve the package in {package.folder}: it has neither a predictor nor a model")
        return BareModel(loader, _load_model(package, loader, threads, loaded))
    kind = loaded.kind if loaded is not None else None
    if kind is None:
        kind = _import_class(package, package.predictor)
    return PredictorClass(kind, _construct(kind, package, loader, threads, loaded), serving)


def _load_model(package: Package, loader: Optional[Loader], threads: int, loaded: Optional[Loaded]) -> Any:
    model = loaded.model if loaded is not None else None
    if model is None:
        path = package.model_path
        if path is None:
            raise CannotServe("cannot give the predictor a model: the package has none; name one in the yard file")
        # Where the framework was not named, the file itself says it.
        loader = loader or loader_for(path)
        model = loader.load(path)
    if loader is not None:
        loader.set_threads(model, threads)
    return model


# Finding the class


def _import_class(package: Package, spec: PredictorSpec) -> type:
    module = _import_module(package, spec)
    if spec.class_name is not None:
        found = getattr(module, spec.class_name, None)
        if not isinstance(found, type):
            raise CannotServe(f"cannot find class {spec.class_name} in {spec.path}: {_classes_of(module)}")
        return found
    kinds = [one for one in (getattr(module, name, None) for name in CLASS_NAMES) if isinstance(one, type)]
    if len(kinds) != 1:
        many = "both Predictor and PythonPredictor are there" if kinds else _classes_of(module)
        raise CannotServe(f"cannot find the predictor class in {spec.path}: {many}; name it with `class`")
    return kinds[0]


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


# Constructing it


def _has_load(kind: type) -> bool:
    """Whether `load` is a class method; an instance's method of that name is the user's own affair."""
    return inspect.ismethod(getattr(kind, "load", None))


def _call_load(kind: Any, package: Package, spec: PredictorSpec) -> Any:
    asked = asked_by(kind.load, ("config", "model_dir"), f"{kind.__name__}.load")
    offered = {"config": spec.config, "model_dir": package.model_folder}
    return kind.load(**{parameter: offered[what] for what, parameter in asked.parameters.items()})


def _construct(
    kind: type, package: Package, loader: Optional[Loader], threads: int, loaded: Optional[Loaded]
) -> object:
    if own_method(kind, "__init__") is None:
        return kind()
    spec = package.predictor
    assert spec is not None
    asked = asked_by(_bound(kind, "__init__"), ("config", "model", "model_dir", "loaded"), f"{kind.__name__}.__init__")
    offered: Dict[str, Any] = {"config": spec.config, "model_dir": package.model_folder}
    if "model" in asked.parameters:
        offered["model"] = _load_model(package, loader, threads, loaded)
    if "loaded" in asked.parameters:
        if not _has_load(kind):
            raise CannotServe(f"cannot give {kind.__name__}.__init__ what was loaded: the class has no `load`")
        offered["loaded"] = loaded.shared if loaded is not None else _call_load(kind, package, spec)
    return kind(**{parameter: offered[what] for what, parameter in asked.parameters.items()})


def _bound(kind: Any, name: str) -> Any:
    """A method as its caller sees it, without `self`."""
    return getattr(kind, name).__get__(object())


# Calling it


class PredictorClass:
    """Serves an instance of the user's class."""

    def __init__(self, kind: type, instance: Any, serving: Serving) -> None:
        name = kind.__name__
        self.batches = own_method(kind, "predict_batch") is not None
        method = "predict_batch" if self.batches else "predict"
        if own_method(kind, method) is None:
            raise CannotServe(f"cannot serve {name}: it has neither `predict` nor `predict_batch`")
        self._method: Any = getattr(instance, method)
        if self.batches:
            asked = asked_by(self._method, ("payloads",), f"{name}.{method}")
            elements = getattr(asked.hints.get("payloads"), "__args__", None) or (None,)
            self._reader: Reader = reader_for(elements[0])
        else:
            asked = asked_by(self._method, ("payload", "headers", "query_params", "context"), f"{name}.{method}")
            self._reader = reader_for(asked.hints.get("payload"))
        self._parameters = asked.parameters
        self._serving = serving
        self.asynchronous = inspect.iscoroutinefunction(self._method) or inspect.isasyncgenfunction(self._method)
        self.wants: Tuple[str, ...] = tuple(
            word for word, what in (("headers", "headers"), ("query", "query_params")) if what in asked.parameters
        )

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        if not self.batches:
            return [write_answer(self._method(**self._arguments(one)), one.meta.accept) for one in requests]
        return self._split(requests, self._method(**self._gathered(requests)))

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        if self.batches:
            return self._split(requests, await self._method(**self._gathered(requests)))
        answers: List[Answer] = []
        for one in requests:
            found = self._method(**self._arguments(one))
            if inspect.isawaitable(found):
                found = await found
            answers.append(write_answer(found, one.meta.accept))
        return answers

    def probe(self) -> None:
        """That it was constructed is the proof: no payload is known that its `predict` would have to take."""

    def _arguments(self, request: Request) -> Dict[str, Any]:
        arguments: Dict[str, Any] = {}
        for what, parameter in self._parameters.items():
            if what == "payload":
                arguments[parameter] = self._reader(request.meta.kind, request.body)
            elif what == "headers":
                arguments[parameter] = dict(request.meta.headers)
            elif what == "query_params":
                arguments[parameter] = dict(request.meta.query)
            else:
                arguments[parameter] = Context(request.id, request.attempt, *self._serving)
        return arguments

    def _gathered(self, requests: Sequence[Request]) -> Dict[str, Any]:
        payloads = [self._reader(one.meta.kind, one.body) for one in requests]
        return dict.fromkeys(self._parameters.values(), payloads)

    def _split(self, requests: Sequence[Request], results: Any) -> List[Answer]:
        try:
            count = len(results)
        except TypeError:
            raise TypeError(f"predict_batch returned {type(results).__name__} instead of a list") from None
        if count != len(requests):
            raise ValueError(f"predict_batch returned {count} results for {len(requests)} payloads")
        pairs = zip(requests, results)
        return [write_answer(result, one.meta.accept) for one, result in pairs]
