"""From a yard file, or a model's file alone, to a deployment that the yard can apply."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelyard.domain.deployments import Change
from modelyard.domain.gateways import KIND as GATEWAY
from modelyard.domain.names import check_name
from modelyard.domain.ports import cookie_warning
from modelyard.domain.sites import KIND as SITE
from modelyard.errors import InvalidValue, NotFound
from modelyard.sdk.account import caller
from modelyard.sdk.connection import Connection
from modelyard.sdk.labels import label_from, project_of
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.trainings import training_resource
from modelyard.sdk.uploads import send_tree
from modelyard.sdk.views import OutcomeView

if TYPE_CHECKING:
    from modelyard.manifest.endpoints import EndpointResource
    from modelyard.manifest.resources import OtherResource
    from modelyard.manifest.trainings import TrainingResource
    from modelyard.manifest.yard_file import YardFile
    from modelyard.packaging.files import LocalFile
    from modelyard.packaging.frameworks import Detection

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy did."""

    project: str
    outcomes: list[OutcomeView]
    notes: tuple[str, ...] = ()
    """Fields of the file that have no effect so far."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to deploy, and the folder that its paths begin at."""

    folder: Path
    yard_file: Path | None
    endpoints: "tuple[EndpointResource, ...]"
    others: "tuple[OtherResource, ...]" = ()
    notes: tuple[str, ...] = ()
    trainings: "tuple[TrainingResource, ...]" = ()
    """Those that the yard itself is to start."""


def deploy_file(
    connection: Connection,
    what: "Path | YardFile",
    *,
    project: str | None = None,
    name: str | None = None,
    prune: bool = False,
    progress: Progress = no_progress,
) -> Deployment:
    """Deploys every resource of a yard file, or one endpoint for a model's file or folder.

    Raises InvalidValue and NotFound before anything is sent where a file is not right.
    """
    plan = plan_deployment(what, name)
    if prune and plan.yard_file is None:
        raise InvalidValue("cannot prune: only a yard file says what is to stay", "name a yard file")
    project = check_name(project, "project name") if project else project_of(plan.folder)
    resources, code = endpoint_documents(connection, plan, plan.endpoints, progress)
    resources += [_other_resource(connection, one, code, progress) for one in plan.others]
    resources += [
        training_resource(connection, one, plan.folder, project=project, yard_file=plan.yard_file, progress=progress)
        for one in plan.trainings
    ]
    wish = {"project": project, "by": caller(), "resources": resources}
    if plan.yard_file is not None:
        wish |= {"from_file": True, "prune": prune}
    answer = connection.post("/deployments", wish)
    outcomes: list[OutcomeView] = list(answer["outcomes"])
    return Deployment(project, outcomes, (*plan.notes, *_port_notes(plan, outcomes)))


def _port_notes(plan: Plan, outcomes: "Sequence[OutcomeView]") -> tuple[str, ...]:
    """What to know of what has just got a port of its own."""
    given = {one.name: one.app.get("port") for one in plan.endpoints if one.app is not None}
    given |= {one.name: one.spec.get("port") for one in plan.others if one.kind in (GATEWAY, SITE)}
    changed = {one["name"] for one in outcomes if one["change"] != Change.UP_TO_DATE}
    ports = {name: port for name, port in given.items() if port is not None and name in changed}
    return (cookie_warning(ports),) if ports else ()


def endpoint_documents(
    connection: Connection, plan: Plan, endpoints: "Sequence[EndpointResource]", progress: Progress = no_progress
) -> tuple[list[dict[str, Any]], str | None]:
    """Sends what these endpoints of a plan are made of, once all of it was looked at; returns each as the yard takes
    it, and the digest of the project's code, where anything of the plan runs it."""
    with ExitStack() as unpacked:
        opened = [open_endpoint(plan.folder, one, unpacked) for one in endpoints]
        models = [local_model(plan.folder, one.resource) for one in opened]
        code = _send_code(connection, plan, progress)
        documents = [
            _resource(connection, one.resource, _send_own(connection, one, progress) or code, model, progress)
            for one, model in zip(opened, models, strict=True)
        ]
    return documents, code


def plan_deployment(what: "Path | YardFile", name: str | None) -> Plan:
    """What a yard file, a project's folder or a model's file wishes; `name` is for a model's file alone."""
    # The schema and YAML take a tenth of a second to import; a prediction must not pay for them.
    from modelyard.manifest.endpoints import EndpointResource  # noqa: PLC0415
    from modelyard.manifest.yard_file import find_yard_file, read_yard_file  # noqa: PLC0415

    if isinstance(what, Path):
        if what.suffix.lower() not in _YAML and what.is_file():
            label = check_name(name, "endpoint name") if name else label_from(what.stem.removesuffix(".tar"), "model")
            model = EndpointResource(name=label, line=0, model=str(what.absolute()))
            return Plan(what.absolute().parent, None, (model,))
        if not what.exists():
            raise NotFound(f"cannot find {what}", "name a yard file, a model file, or a project's folder")
        what = read_yard_file(find_yard_file(what) if what.is_dir() else what)
    if name is not None:
        raise InvalidValue("cannot name the endpoint: a yard file names its own", "leave --name out")
    trainings = tuple(one for one in what.trainings if one.deployed)
    if not (what.endpoints or what.others or trainings):
        raise InvalidValue(
            f"cannot deploy {what.path.name}: it has nothing to deploy",
            "`modelyard train` starts trainings; those with a `schedule` are deployed",
        )
    return Plan(what.folder, what.path, what.endpoints, what.others, what.notes, trainings)


@dataclass(frozen=True, slots=True)
class Opened:
    """An endpoint whose model lies open: an archive was unpacked."""

    resource: "EndpointResource"
    own_code: Path | None = None
    """Folder of the code that came with the model."""


def open_endpoint(folder: Path, one: "EndpointResource", unpacked: ExitStack) -> Opened:
    """Unpacks a `model.tar.gz` until `unpacked` closes. Its code serves it where the file names no predictor."""
    from modelyard.packaging.archives import PROGRAM, is_archive, unpack_model  # noqa: PLC0415 (see plan_deployment)

    place = folder / Path(one.model_path).expanduser() if one.model_path is not None else None
    if place is None or not is_archive(place):
        return Opened(one)
    into = Path(unpacked.enter_context(TemporaryDirectory(prefix="modelyard-model-")))
    code = unpack_model(place, into)
    model = str(into / "model") if any((into / "model").iterdir()) else None
    if one.predictor is not None or code is None:
        return Opened(replace(one, model=model))
    return Opened(replace(one, model=model, predictor={"path": PROGRAM, "config": {}}), code)


def _send_own(connection: Connection, one: Opened, progress: Progress) -> str | None:
    from modelyard.packaging.project import project_files  # noqa: PLC0415 (see plan_deployment)

    return send_tree(connection, project_files(one.own_code), progress) if one.own_code is not None else None


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model's files on this machine, and what they are."""

    files: "list[LocalFile]"
    framework: str | None


def local_model(folder: Path, endpoint: "EndpointResource") -> LocalModel | None:
    """The files of a model that is named by a path, looked at before anything is sent."""
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (see plan_deployment)

    if endpoint.model_path is None:
        return None
    files = list_files(folder / Path(endpoint.model_path).expanduser())
    detection = detect_files(files)
    if detection.framework is None and endpoint.predictor is None:
        raise InvalidValue(
            f"cannot deploy {endpoint.name} without a predictor: {detection.reason}",
            "write a predictor, or name a .ubj, .json, .joblib or .pkl file",
        )
    return LocalModel(files, detection.framework)


def detect_files(files: "Iterable[LocalFile]") -> "Detection":
    """The framework of a model that lies on this machine."""
    from modelyard.packaging.frameworks import HEAD_BYTES, detect  # noqa: PLC0415 (see plan_deployment)

    sources = {file.path: file.source for file in files}

    def head(path: str) -> bytes:
        with sources[path].open("rb") as content:
            return content.read(HEAD_BYTES)

    return detect(sources, head)


def _send_code(connection: Connection, plan: Plan, progress: Progress) -> str | None:
    from modelyard.packaging.project import project_files  # noqa: PLC0415 (see plan_deployment)

    if not any(one.predictor or one.app for one in plan.endpoints) and not any(one.code for one in plan.others):
        return None
    return send_tree(connection, project_files(plan.folder, plan.yard_file), progress)


def _other_resource(
    connection: Connection, one: "OtherResource", code: str | None, progress: Progress
) -> dict[str, Any]:
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (see plan_deployment)

    trees = {field: send_tree(connection, list_files(place), progress) for field, place in one.trees.items()}
    sent = {"code": code} if one.code else {}
    return {"kind": one.kind, "name": one.name, "spec": {**one.spec, **trees, **sent}}


def _resource(
    connection: Connection, one: "EndpointResource", code: str | None, model: LocalModel | None, progress: Progress
) -> dict[str, Any]:
    resource: dict[str, Any] = {"kind": one.kind, "name": one.name, "spec": one.settings}
    if one.access is not None:
        resource["access"] = one.access
    if one.app is not None:
        resource |= {"code": code, "app": one.app}
    if one.predictor is not None:
        resource |= {"code": code, "predictor": one.predictor}
    if model is not None:
        resource["model"] = {"tree": send_tree(connection, model.files, progress)}
        if model.framework is not None:
            resource["model"]["framework"] = str(model.framework)
    elif one.model is not None:
        resource["model"] = {"reference": one.model}
    return resource
