"""A deploy from the browser: a yard file that is written or chosen there, and the files that it names.

They lie in a folder of their own until the yard has them. What the file names must be among them, or be in the yard
already: this program runs on the yard's machine, and a browser must not have it read that machine's files.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelyard.console.visits import Answer, Page, Visit
from modelyard.domain.names import check_name
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from modelyard.manifest.yard_file import YardFile

YARD_FILE = "modelyard.yaml"

EXAMPLE = """\
- name: price
  model: price
  autoscaling: {min_replicas: 0, max_replicas: 4}
"""


def deploy_form(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {
        "text": next(iter(visit.form.get("text", ())), EXAMPLE),
        "project": visit.typed("project"),
        "prune": bool(visit.typed("prune")),
        "outcomes": None,
    }


def deploy(client: Client, visit: Visit) -> Answer:
    """Raises InvalidValue before anything is changed where the file, or what it names, is not right."""
    project = check_name(visit.typed("project"), "project name")
    with TemporaryDirectory(prefix="modelyard-console-") as place:
        folder = Path(place) / project
        folder.mkdir()
        for name, content in visit.files.items():
            target = folder / _inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        written = next(iter(visit.form.get("text", ())), "")
        if written.strip() or not (folder / YARD_FILE).exists():
            (folder / YARD_FILE).write_text(written, encoding="utf-8")
        file = client.read_file(folder / YARD_FILE)
        check_inside(folder, file)
        done = client.deploy(file, project=project, prune=bool(visit.typed("prune")))
    return {"outcomes": done.outcomes, "notes": done.notes}


def check_inside(folder: Path, file: "YardFile") -> None:
    """Raises InvalidValue for a path that leads out of the folder."""
    for path in _paths(file):
        if not (folder / Path(path).expanduser()).resolve().is_relative_to(folder.resolve()):
            raise InvalidValue(
                f"cannot deploy {path} from a browser: it is not among the files that were sent",
                "send it too, name a registered model, or deploy with `modelyard deploy`",
            )


def _paths(file: "YardFile") -> Iterator[str | Path]:
    yield from (one.model_path for one in file.endpoints if one.model_path is not None)
    for other in file.others:
        yield from other.trees.values()
    for training in file.trainings:
        yield from (source.path for source in training.inputs.values() if "://" not in source.path)


def _inside(name: str) -> PurePosixPath:
    """A file's name as the browser sent it, with the folders that were chosen. Raises InvalidValue."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InvalidValue(f"cannot take a file called {name[:80]!r}", "choose files of the project's folder")
    return path


PAGES = (Page("/deploy", "deploy.html", deploy_form, {"run": deploy}),)
