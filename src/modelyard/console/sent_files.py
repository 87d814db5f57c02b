"""What was sent with a form: files, and a yard file that names them.

They lie in a folder of their own until the yard has them. What the yard file names must be among them, or be in the
yard already: this program runs on the yard's machine, and a browser must not have it read that machine's files.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from modelyard.console.visits import Visit
from modelyard.domain.names import check_name
from modelyard.domain.sources import DvcSource, PathSource, parse_source
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client

if TYPE_CHECKING:
    from modelyard.manifest.yard_file import YardFile

YARD_FILE = "modelyard.yaml"


@contextmanager
def sent_project(client: Client, visit: Visit) -> Generator[tuple[str, "YardFile"]]:
    """The project's name and its yard file, as it was written or sent. Raises InvalidValue for what is not right."""
    project = check_name(visit.typed("project"), "project name")
    with sent_folder(visit, project) as folder:
        written = next(iter(visit.form.get("text", ())), "")
        if written.strip() or not (folder / YARD_FILE).exists():
            (folder / YARD_FILE).write_text(written, encoding="utf-8")
        file = client.read_file(folder / YARD_FILE)
        check_inside(folder, file)
        yield project, file


@contextmanager
def sent_folder(visit: Visit, name: str = "sent") -> Generator[Path]:
    """A folder of that name with the files of the form. Raises InvalidValue."""
    with TemporaryDirectory(prefix="modelyard-console-") as place:
        folder = Path(place) / name
        folder.mkdir()
        for path, content in visit.files.items():
            target = folder / _inside(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield folder


def check_inside(folder: Path, file: "YardFile") -> None:
    """Raises InvalidValue for a path that leads out of the folder."""
    for path in _paths(file):
        if not (folder / Path(path).expanduser()).resolve().is_relative_to(folder.resolve()):
            raise InvalidValue(
                f"cannot read {path} for a browser: it is not among the files that were sent",
                "send it too, name a registered model, or use the command on the yard's machine",
            )


def _paths(file: "YardFile") -> Iterator[str | Path]:
    yield from (one.model_path for one in file.endpoints if one.model_path is not None)
    for other in file.others:
        yield from other.trees.values()
    for training in file.trainings:
        for source in training.inputs.values():
            match parse_source(source.path):
                case PathSource(path) | DvcSource(path):
                    yield path
                case _:
                    pass


def _inside(name: str) -> PurePosixPath:
    """A file's name as the browser sent it, with the folders that were chosen. Raises InvalidValue."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InvalidValue(f"cannot take a file called {name[:80]!r}", "choose files of the project's folder")
    return path
