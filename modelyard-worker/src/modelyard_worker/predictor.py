"""Makes what is served out of a package: a bare model through its loader, or what the user's code has (`discovery`).

A class is asked once, when it is loaded, what its methods take:

    __init__        config, model, model_dir, loaded; models (Cortex's python_client) where the endpoint has several;
                    job_spec, Cortex's for batch jobs
    predict         payload, headers, query_params, context; batch_id, Cortex's for batch jobs
    predict_batch   payloads: a list in, a list of the same length out
    post_predict    response, payload, headers, query_params, context: called after the answer is on its way
    load            a class method with config, model_dir: called once, in the template where there is one; its result
                    is `loaded`, and so shared by all replicas that are forked

    load_model      model_path: makes a model of a file or folder, where the endpoint has several

`context` has request_id, attempt (2 where the request was in a replica that died), endpoint, version, model,
traceparent. The working directory is the package's code/.
"""

import inspect
import os
import time
from typing import Any, Dict, NamedTuple, Optional, Tuple

from modelyard_worker.bare import BareModel
from modelyard_worker.discovery import Code, find_code
from modelyard_worker.functions import Functions, SageMakerContext, takes
from modelyard_worker.handler import Handler
from modelyard_worker.inference import WithTensors
from modelyard_worker.lambda_context import handler_variables, set_variables
from modelyard_worker.loaders import SHARE, Loader, loader_for, loader_named
from modelyard_worker.many_models import ManyModels, ModelsOrder, load_with, model_cache
from modelyard_worker.model_cache import Models
from modelyard_worker.packages import Package, PredictorSpec, TrackerSpec
from modelyard_worker.predictor_class import PredictorClass
from modelyard_worker.runtime_api import CustomRuntime
from modelyard_worker.servable import Servable, Serving
from modelyard_worker.signatures import CannotServe, asked_by, own_method
from modelyard_worker.web_app import web_app


class Loaded(NamedTuple):
    """What a template holds ready of one package, for the replicas that it forks."""

    model: Optional[Any]
    """None where the loader wants each replica to load for itself."""
    code: Optional[Code]
    """The user's code, imported; None for a bare model, or where importing waits for the replica."""
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
    if package.predictor.handler is not None:
        return Loaded(model, None, None)
    code = find_code(package, package.predictor)
    if code.kind is None or not _has_load(code.kind):
        return Loaded(model, code, None)
    return Loaded(model, code, _call_load(code.kind, package, package.predictor))


def load_servable(
    package: Package,
    serving: Serving,
    threads: int,
    loaded: Optional[Loaded] = None,
    models: Optional[ModelsOrder] = None,
) -> Servable:
    """What a replica serves, to clients of every protocol. Raises as `_load` does."""
    if package.app is not None:
        from modelyard_worker.web_process import WebProcess

        return WebProcess(package, package.app, serving)
    if models is not None:
        return WithTensors(_load_many(package, serving, threads, loaded, models), serving)
    servable = _load(package, serving, threads, loaded)
    is_function = package.predictor is not None and package.predictor.handler is not None
    return servable if is_function else WithTensors(servable, serving)


def _load_many(
    package: Package, serving: Serving, threads: int, loaded: Optional[Loaded], order: ModelsOrder
) -> Servable:
    """What serves the models of a folder. Raises as `_load` does."""
    spec = package.predictor
    if spec is None:
        cache = model_cache(order, lambda path: _bare_model(path, threads))
        return ManyModels(serving.endpoint, cache, batches=True, wants=())
    code = (loaded.code if loaded is not None else None) or find_code(package, spec)
    if code.app is not None:
        raise CannotServe(f"cannot give models to the application in {spec.path}: serve a predictor class")
    if code.kind is not None:
        return _class_with_models(code.kind, package, spec, serving, threads, loaded, order)
    cache = model_cache(order, lambda path: _functions_of(code, path, threads, serving, spec.tracker))
    return ManyModels(serving.endpoint, cache, batches=False, wants=("headers", "query"))


def _class_with_models(
    kind: type,
    package: Package,
    spec: PredictorSpec,
    serving: Serving,
    threads: int,
    loaded: Optional[Loaded],
    order: ModelsOrder,
) -> Servable:
    cache = model_cache(order, lambda path: _loaded_model(path, threads)[1])
    instance: Any = _construct(kind, package, spec, None, threads, loaded, serving, Models(cache))
    if own_method(kind, "load_model") is not None:
        # Its instance was made with the client already; what it loads from here on, it loads by its own method.
        load_with(cache, instance.load_model)
    servable = PredictorClass(kind, instance, serving, spec.tracker)
    servable.wants = ("model", *servable.wants)
    return servable


def _bare_model(path: str, threads: int) -> Servable:
    return BareModel(*_loaded_model(path, threads))


def _loaded_model(path: str, threads: int) -> Tuple[Loader, Any]:
    """The loader that knows the file, and the model."""
    loader = loader_for(path)
    model = loader.load(path)
    loader.set_threads(model, threads)
    return loader, model


def _functions_of(code: Code, path: str, threads: int, serving: Serving, tracker: Optional[TrackerSpec]) -> Servable:
    """SageMaker's functions, with one of the models."""
    model_fn: Any = getattr(code.module, "model_fn", None)
    if model_fn is None:
        loader, model = _loaded_model(path, threads)
        return Functions(code.module, model, loader, path, serving, tracker)
    if not os.path.isdir(path):
        raise CannotServe(f"cannot give {path} to model_fn: it takes a folder or an archive such as model.tar.gz")
    extra = [SageMakerContext(path)] if takes(model_fn, 2) else []
    return Functions(code.module, model_fn(path, *extra), None, path, serving, tracker)


def _load(package: Package, serving: Serving, threads: int, loaded: Optional[Loaded] = None) -> Servable:
    """What a replica serves. `threads` is how many one call of the model may use.

    Raises LoadFailed, CannotServe or whatever the user's code raises.
    """
    loader, spec = package_loader(package), package.predictor
    if spec is None:
        if loader is None:
            raise CannotServe(f"cannot serve the package in {package.folder}: it has neither a predictor nor a model")
        return BareModel(loader, _load_model(package, loader, threads, loaded))
    if spec.handler is not None:
        return _load_handler(package, spec, spec.handler, serving)
    code = loaded.code if loaded is not None else None
    if code is None:
        code = find_code(package, spec)
    try:
        return _load_code(code, package, spec, loader, threads, loaded, serving)
    except CannotServe as error:
        raise CannotServe(f"{error} (in {spec.path})") from error


def _load_code(
    code: Code,
    package: Package,
    spec: PredictorSpec,
    loader: Optional[Loader],
    threads: int,
    loaded: Optional[Loaded],
    serving: Serving,
) -> Servable:
    if code.app is not None:
        return web_app(code.app, serving)
    if code.kind is not None:
        instance = _construct(code.kind, package, spec, loader, threads, loaded, serving)
        return PredictorClass(code.kind, instance, serving, spec.tracker)
    return _load_functions(code, package, spec, loader, threads, loaded, serving)


def _load_handler(package: Package, spec: PredictorSpec, handler: str, serving: Serving) -> Servable:
    """A function in Lambda's contract. Its module is imported here, where the variables are set that it may read."""
    variables = handler_variables(serving, f"{os.path.splitext(spec.path)[0]}.{handler}", package.code_folder)
    set_variables(variables)
    if spec.runtime is not None:
        return CustomRuntime(spec.runtime, package.code_folder, serving)
    began_at = time.monotonic()
    code = find_code(package, spec)
    return Handler(code.handler, serving, time.monotonic() - began_at)


def _load_functions(
    code: Code,
    package: Package,
    spec: PredictorSpec,
    loader: Optional[Loader],
    threads: int,
    loaded: Optional[Loaded],
    serving: Serving,
) -> Servable:
    """SageMaker's functions; where there is no `model_fn`, the package's model is loaded as for a bare file."""
    model_fn: Any = getattr(code.module, "model_fn", None)
    if model_fn is not None:
        loader = None
        extra = [SageMakerContext(package.model_folder)] if takes(model_fn, 2) else []
        model = model_fn(package.model_folder, *extra)
    elif package.model is None:
        model = None
    else:
        loader = loader or loader_for(package.model_path or "")
        model = _load_model(package, loader, threads, loaded)
    return Functions(code.module, model, loader, package.model_folder, serving, spec.tracker)


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


# Constructing it


def _has_load(kind: type) -> bool:
    """Whether `load` is a class method; an instance's method of that name is the user's own affair."""
    return inspect.ismethod(getattr(kind, "load", None))


def _call_load(kind: Any, package: Package, spec: PredictorSpec) -> Any:
    asked = asked_by(kind.load, ("config", "model_dir"), f"{kind.__name__}.load")
    offered = {"config": spec.config, "model_dir": package.model_folder}
    return kind.load(**{parameter: offered[what] for what, parameter in asked.parameters.items()})


_OFFERED = ("config", "model", "model_dir", "loaded", "models", "python_client", "job_spec")


def _construct(
    kind: type,
    package: Package,
    spec: PredictorSpec,
    loader: Optional[Loader],
    threads: int,
    loaded: Optional[Loaded],
    serving: Serving,
    models: Optional[Models] = None,
) -> object:
    if own_method(kind, "__init__") is None:
        return kind()
    asked = asked_by(_bound(kind, "__init__"), _OFFERED, f"{kind.__name__}.__init__")
    offered: Dict[str, Any] = {
        "config": spec.config,
        "model_dir": package.model_folder,
        "job_spec": serving.job,
    }
    if "models" in asked.parameters or "python_client" in asked.parameters:
        if models is None:
            raise CannotServe(f"cannot give {kind.__name__}.__init__ any models: name their folder as `models.dir`")
        offered.update({"models": models, "python_client": models})
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
