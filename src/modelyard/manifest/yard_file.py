"""Reading a yard file: a list of resources, all problems at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from modelyard.domain.deployments import RESOURCES_MAX
from modelyard.domain.names import name_key, nearest
from modelyard.errors import NotFound
from modelyard.manifest.alarms import read_alarm
from modelyard.manifest.apps import read_app
from modelyard.manifest.batches import read_batch
from modelyard.manifest.document import Document, read_document
from modelyard.manifest.endpoints import EndpointResource, read_endpoint
from modelyard.manifest.functions import read_function
from modelyard.manifest.gateways import read_gateway
from modelyard.manifest.problems import Problem, refusal, shown
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.sites import read_site
from modelyard.manifest.splitters import read_splitter
from modelyard.manifest.trainings import TrainingResource, read_training
from modelyard.manifest.tunings import TuningResource, read_tuning
from modelyard.manifest.variants import unfold_variants

FILE_NAMES = ("modelyard.yaml", "modelyard.yml", "cortex.yaml")
"""Looked for in this order."""

Resource = EndpointResource | TrainingResource | TuningResource | OtherResource

Reader = Callable[[Document, int, str, Path], Resource | None]
"""Reads the resource at an index, whose label is for problems; None where the document got problems."""

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "endpoint": read_endpoint,
        "training": read_training,
        "tuning": read_tuning,
        "function": read_function,
        "gateway": read_gateway,
        "app": read_app,
        "site": read_site,
        "alarm": read_alarm,
        "batch": read_batch,
        "traffic_splitter": read_splitter,
    }
)
"""By kind. A new kind is a module of its own on each floor, and a line here."""

KINDS = (*READERS, "async", "task")

_OTHER_WORDS = {
    "RealtimeAPI": "endpoint",
    "AsyncAPI": "endpoint",
    "async": "endpoint",
    "TrafficSplitter": "traffic_splitter",
    "BatchAPI": "batch",
    "TaskAPI": "training",
    "task": "training",
}
"""Cortex's words for kinds, the kind of endpoint whose requests are queued, and that of training which is deployed."""
_NAMED_AS = {**_OTHER_WORDS, "function": "endpoint", "app": "endpoint"}
"""Kinds that share their names with endpoints, because they answer as one."""
_KINDS_TO_COME = ("monitor",)


@dataclass(frozen=True, slots=True)
class YardFile:
    """A file that was read whole and found right. Resources are in the file's order."""

    path: Path
    resources: tuple[Resource, ...]

    @property
    def folder(self) -> Path:
        """The project's folder: what paths in the file are relative to."""
        return self.path.parent

    @property
    def endpoints(self) -> tuple[EndpointResource, ...]:
        return tuple(one for one in self.resources if isinstance(one, EndpointResource))

    @property
    def trainings(self) -> tuple[TrainingResource, ...]:
        return tuple(one for one in self.resources if isinstance(one, TrainingResource))

    @property
    def tunings(self) -> tuple[TuningResource, ...]:
        return tuple(one for one in self.resources if isinstance(one, TuningResource))

    @property
    def others(self) -> tuple[OtherResource, ...]:
        """Of every other kind that a deploy wishes."""
        return tuple(one for one in self.resources if isinstance(one, OtherResource))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read and has no effect, a sentence each."""
        return tuple(note for one in (*self.endpoints, *self.others) for note in one.notes)


def find_yard_file(folder: Path) -> Path:
    """The yard file of a project's folder. Raises NotFound."""
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise NotFound(
        f"cannot find a yard file in {folder}", f"write {FILE_NAMES[0]} there, or name a yard file or a model file"
    )


def read_yard_file(path: Path) -> YardFile:
    """Raises NotFound where there is no file, InvalidValue with every problem of the file where it is not right."""
    place = path.absolute()
    document = read_document(place)
    items = _items(document)
    unfolded = unfold_variants(document)
    resources = [
        unfolded[index] if index in unfolded else _read_resource(document, index, place.parent)
        for index in range(len(items))
    ]
    _check_names(document, items)
    _check_ports(document, items)
    if document.problems:
        raise refusal(document.file, [_labelled(problem, items) for problem in document.problems])
    return YardFile(place, tuple(one for one in resources if one is not None))


def _items(document: Document) -> list[Any]:
    value = document.value
    if isinstance(value, list) and 0 < len(cast("list[Any]", value)) <= RESOURCES_MAX:
        return cast("list[Any]", value)
    if value is None or value == []:
        sentence = "empty; allowed: a list of resources, each beginning with `- name: NAME`"
    elif isinstance(value, list):
        sentence = f"found {len(cast('list[Any]', value))} resources; allowed: at most {RESOURCES_MAX}"
    else:
        sentence = f"found {shown(value)}; allowed: a list of resources, each beginning with `- name: NAME`"
    raise refusal(document.file, [*document.problems, Problem(document.line(()), "", sentence)])


def _read_resource(document: Document, index: int, folder: Path) -> Resource | None:
    item = document.value[index]
    if not isinstance(item, dict):
        sentence = f"found {shown(item)}; allowed: a resource, a map with a name"
        document.problems.append(Problem(document.line((index,)), f"[{index}]", sentence))
        return None
    fields = cast("dict[str, Any]", item)
    label = fields["name"] if isinstance(fields.get("name"), str) else f"[{index}]"
    kind = _kind(document, index, label, fields)
    return READERS[kind](document, index, label, folder) if kind is not None else None


def _kind(document: Document, index: int, label: str, fields: dict[str, Any]) -> str | None:
    written = fields.get("kind")
    if written is None:
        return "endpoint"
    if isinstance(written, str) and _OTHER_WORDS.get(written, written) in READERS:
        return _OTHER_WORDS.get(written, written)
    allowed = f"allowed: {', '.join(KINDS)}"
    if written in _KINDS_TO_COME:
        sentence = f"found {shown(written)}, which is not there yet; {allowed}"
    else:
        near = nearest(written, KINDS) if isinstance(written, str) else None
        sentence = f"found {shown(written)}; " + (f"did you mean {near}? " if near else "") + allowed
    document.problems.append(Problem(document.line((index, "kind")), f"{label}.kind", sentence))
    return None


def _labelled(problem: Problem, items: list[Any]) -> Problem:
    """What was found while reading the YAML is told by number; people look for the name."""
    for index, item in enumerate(items):
        name = cast("dict[str, Any]", item).get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and problem.field.startswith(f"[{index}]"):
            return replace(problem, field=name + problem.field.removeprefix(f"[{index}]"))
    return problem


def _check_names(document: Document, items: list[Any]) -> None:
    first: dict[tuple[str, str], int] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        fields = cast("dict[str, Any]", item)
        name, kind = fields.get("name"), str(fields.get("kind") or "endpoint")
        if not isinstance(name, str):
            continue
        line = document.line((index, "name"))
        key = (_NAMED_AS.get(kind, kind), name_key(name))
        if key in first:
            sentence = f"found twice, first in line {first[key]}; names are unique per kind, whatever their case"
            document.problems.append(Problem(line, f"{name}.name", sentence))
        first.setdefault(key, line)


def _check_ports(document: Document, items: list[Any]) -> None:
    first: dict[int, tuple[int, str]] = {}
    for index, item in enumerate(items):
        fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        port, name = fields.get("port"), str(fields.get("name"))
        if not isinstance(port, int) or isinstance(port, bool):
            continue
        line = document.line((index, "port"))
        if port in first:
            sentence = f"found {port}, which {first[port][1]} has in line {first[port][0]}; allowed: a port for each"
            document.problems.append(Problem(line, f"{name}.port", sentence))
        first.setdefault(port, (line, name))
