"""From a training, as a yard file or a call has it, to a run that the yard has taken on."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.domain.names import check_name, name_key, nearest
from modelyard.errors import Ambiguous, InvalidValue, NotFound
from modelyard.sdk.commits import commit_of
from modelyard.sdk.connection import Connection
from modelyard.sdk.inputs import send_inputs
from modelyard.sdk.labels import project_of
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.uploads import send_tree
from modelyard.sdk.views import RunView

if TYPE_CHECKING:
    from modelyard.manifest.trainings import TrainingResource
    from modelyard.manifest.yard_file import YardFile


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
    if (training.algorithm is None) == (training.entry is None):
        raise InvalidValue(f"cannot train {training.name}: give exactly one of an algorithm and an entry")
    named = {channel: source.path for channel, source in training.inputs.items()}
    inputs = send_inputs(connection, named, folder, progress)
    code = _send_code(connection, training, folder, yard_file, progress)
    spec: dict[str, Any] = {
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
        **({} if training.retry_on is None else {"retry_on": list(training.retry_on)}),
        "git_commit": commit_of(folder),
        "python_path": _inner(training.python_path),
    }
    return connection.post("/runs", spec)


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
