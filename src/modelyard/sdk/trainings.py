"""From a training, as a yard file or a call has it, to a run that the yard has taken on."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.domain.names import check_name, name_key, nearest
from modelyard.domain.sources import ObjectSource, PathSource, UrlSource, parse_source
from modelyard.errors import Ambiguous, InvalidValue, NotFound
from modelyard.protocol.views import view_from
from modelyard.protocol.views_of_tunings import TuningView
from modelyard.sdk.address import is_here
from modelyard.sdk.commits import commit_of
from modelyard.sdk.connection import Connection
from modelyard.sdk.inputs import send_inputs
from modelyard.sdk.labels import project_of
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.uploads import send_tree
from modelyard.sdk.views import RunView

if TYPE_CHECKING:
    from modelyard.manifest.trainings import TrainingResource
    from modelyard.manifest.tunings import TuningResource
    from modelyard.manifest.yard_file import YardFile


VARIANTS_MAX = 1000
"""Most runs that one command starts."""


def choose_training(file: "YardFile", name: str | None) -> "TrainingResource":
    """The training called `name`, or the only one. Raises NotFound, Ambiguous."""
    names = [one.name for one in file.trainings]
    if not names:
        raise NotFound(f"cannot find a training in {file.path.name}", "add a resource with `kind: training`")
    if name is None:
        if len(names) > 1:
            raise Ambiguous(f"cannot tell which training of {file.path.name} is meant", f"say {' or '.join(names)}")
        return file.trainings[0]
    wanted = name.removeprefix("training/")
    for one in file.trainings:
        if name_key(one.name) == name_key(wanted):
            return one
    near = nearest(wanted, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}"
    raise NotFound(f"cannot find training {wanted!r} in {file.path.name}", hint)


def choose_started(file: "YardFile", name: str | None) -> "TrainingResource | TuningResource":
    """The training or the tuning called `name`, a training where both are; without a name the only training. Raises
    NotFound, Ambiguous."""
    if name is None:
        return choose_training(file, None)
    kind, _, wanted = name.rpartition("/")
    trainings = file.trainings if kind in ("", "training") else ()
    tunings = file.tunings if kind in ("", "tuning") else ()
    for one in (*trainings, *tunings):
        if name_key(one.name) == name_key(wanted):
            return one
    names = [one.name for one in (*file.trainings, *file.tunings)]
    near = nearest(wanted, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}"
    raise NotFound(f"cannot find a training or a tuning {wanted!r} in {file.path.name}", hint)


def variants(training: "TrainingResource", changes: Sequence[str]) -> list["TrainingResource"]:
    """The training once for each combination of `NAME=VALUE,VALUE` in `changes`. Raises InvalidValue.

    A comma inside quotes or brackets belongs to the value.
    """
    values: dict[str, list[str]] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name.strip():
            raise InvalidValue(f"cannot read {change!r} as a hyperparameter", "write NAME=VALUE or NAME=VALUE,VALUE")
        values.setdefault(name.strip(), []).extend(_split(text))
    combined = list(product(*values.values()))
    if len(combined) > VARIANTS_MAX:
        raise InvalidValue(f"cannot start {len(combined)} runs at once: at most {VARIANTS_MAX}", "write a tuning")
    return [
        replace(training, hyperparameters={**training.hyperparameters, **dict(zip(values, one, strict=True))})
        for one in combined
    ]


def _split(text: str) -> list[str]:
    """Parts between commas outside of quotes and brackets."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[({":
            depth += 1
        elif letter in "])}":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]


def start_tuning(
    connection: Connection,
    tuning: "TuningResource",
    file: "YardFile",
    *,
    project: str | None = None,
    progress: Progress = no_progress,
) -> TuningView:
    """Sends inputs and code of the training, and starts a tuning of it."""
    training = choose_training(file, tuning.training)
    tuned = {one["name"] for one in tuning.ranges}
    fixed = {name: value for name, value in training.hyperparameters.items() if name not in tuned}
    training = replace(training, hyperparameters=fixed)
    run = _request(connection, training, file.folder, project, file.path, progress)
    request = {
        "name": tuning.name,
        "project": run["project"],
        "training": run,
        "metric": tuning.metric,
        "minimize": tuning.minimize,
        "ranges": tuning.ranges,
        **tuning.options,
    }
    return view_from(TuningView, connection.post("/tunings", request))


def start_training(
    connection: Connection,
    training: "TrainingResource",
    folder: Path,
    *,
    project: str | None = None,
    yard_file: Path | None = None,
    progress: Progress = no_progress,
) -> RunView:
    """Sends inputs and code, and starts a run. Paths of the training begin at `folder`."""
    return connection.post("/runs", _request(connection, training, folder, project, yard_file, progress))


def training_resource(
    connection: Connection,
    training: "TrainingResource",
    folder: Path,
    *,
    project: str,
    yard_file: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Sends inputs and code, and says what a deploy wishes. What the yard can read itself it reads anew for each run:
    URLs, and paths where it is on this machine."""
    run = _request(connection, training, folder, project, yard_file, progress)
    here = connection.own_files and is_here(connection.address.url)
    reread: dict[str, str] = {}
    for channel, one in training.inputs.items():
        match parse_source(one.path):
            case PathSource(path) if here:
                reread[channel] = str((folder / Path(path).expanduser()).absolute())
            case UrlSource() | ObjectSource():
                reread[channel] = one.path
            case _:
                pass
    return {
        "kind": training.kind,
        "name": training.name,
        "spec": {"run": run, "reread": reread, **({"schedule": training.schedule} if training.schedule else {})},
    }


def _request(
    connection: Connection,
    training: "TrainingResource",
    folder: Path,
    project: str | None,
    yard_file: Path | None,
    progress: Progress,
) -> dict[str, Any]:
    """What `POST /runs` takes; what it reads has been sent."""
    if (training.algorithm is None) == (training.entry is None):
        raise InvalidValue(f"cannot train {training.name}: give exactly one of an algorithm and an entry")
    named = {channel: source.path for channel, source in training.inputs.items()}
    inputs = send_inputs(connection, named, folder, progress)
    code = _send_code(connection, training, folder, yard_file, progress)
    return {
        "training": check_name(training.name, "training name"),
        "project": check_name(project, "project name") if project else project_of(folder),
        "algorithm": training.algorithm,
        "entry": _inner(training.entry),
        "code": code,
        "inputs": inputs.trees,
        "sources": inputs.sources,
        "content_types": {
            channel: source.content_type for channel, source in training.inputs.items() if source.content_type
        },
        "hyperparameters": training.hyperparameters,
        "environment": training.environment,
        "secrets": training.secrets,
        "model": training.model,
        "max_runtime_seconds": training.max_runtime_seconds,
        "stop_grace_seconds": training.stop_grace_seconds,
        "cpu_millis": training.cpu_millis,
        "memory_bytes": training.memory_bytes,
        "priority": training.priority,
        "retry_count": training.retry_count,
        "log_metrics": training.log_metrics,
        **({} if training.retry_on is None else {"retry_on": list(training.retry_on)}),
        "git_commit": commit_of(folder),
        "python_path": _inner(training.python_path),
    }


def _inner(path: str | None) -> str | None:
    """A path inside the code as trees have it: `./src/` is `src`."""
    return None if path is None else str(PurePosixPath(path))


def _send_code(
    connection: Connection, training: "TrainingResource", folder: Path, yard_file: Path | None, progress: Progress
) -> str | None:
    from modelyard.packaging.project import project_files  # noqa: PLC0415 (loaded when first needed)

    if training.entry is None:
        return None
    files = project_files(folder, yard_file)
    if _inner(training.entry) not in {file.path for file in files}:
        raise NotFound(
            f"cannot find the entry {training.entry} in the code of {folder}", "see whether .modelyardignore names it"
        )
    return send_tree(connection, files, progress)
