"""Inputs of a training: from wherever they are named to trees in the yard, so that a run reads what cannot change.

Files of this machine and of URLs are sent by the client, which has the user's network and rights; what the yard has
already, in a data remote or of an earlier run, it only makes a tree of.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.sources import DvcSource, ObjectSource, PathSource, RunSource, UrlSource, parse_source
from modelyard.errors import ModelyardError
from modelyard.sdk.connection import Connection
from modelyard.sdk.dvc import send_tracked
from modelyard.sdk.progress import Progress
from modelyard.sdk.uploads import send_tree


@dataclass(frozen=True, slots=True)
class SentInputs:
    trees: dict[str, str]
    """Channel -> digest of its tree."""
    sources: dict[str, str]
    """Channel -> where it was taken from, where that was no path."""


def send_inputs(connection: Connection, named: Mapping[str, str], folder: Path, progress: Progress) -> SentInputs:
    """`named` are sources by channel; paths begin at `folder`. Every path is looked at before anything is sent.

    Raises InvalidValue for what is no source, NotFound for what is not there, Unavailable where a server fails.
    """
    steps = {channel: _prepared(connection, text, folder, progress) for channel, text in named.items()}
    sent: dict[str, str] = {}
    for channel, step in steps.items():
        try:
            sent[channel] = step()
        except ModelyardError as error:
            raise type(error)(f"{error.message} (input {channel})", error.hint) from error
    return SentInputs(sent, {channel: shown for channel, text in named.items() if (shown := _shown(text))})


def _prepared(connection: Connection, text: str, folder: Path, progress: Progress) -> Callable[[], str]:
    """What is left to do when everything else is known to be there."""
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (loaded when first needed)

    match parse_source(text):
        case PathSource(path):
            files = list_files(folder / Path(path).expanduser())
            return lambda: send_tree(connection, files, progress)
        case UrlSource() as source:
            return lambda: _send_url(connection, source, progress)
        case ObjectSource() as source:
            return lambda: _send_objects(connection, source, progress)
        case DvcSource() as source:
            return lambda: send_tracked(connection, source, folder, progress)
        case RunSource(run, part):
            return lambda: str(connection.post(f"/runs/{run}/trees", {"part": part})["digest"])


def _shown(text: str) -> str | None:
    match parse_source(text):
        case PathSource():
            return None
        case UrlSource() as source:
            return source.without_secrets
        case _:
            return text


def _send_url(connection: Connection, source: UrlSource, progress: Progress) -> str:
    """Downloads into a folder that is gone afterwards."""
    from modelyard.packaging.downloads import download_url  # noqa: PLC0415 (loaded when first needed)

    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        return send_tree(connection, download_url(source, Path(folder), progress), progress)


def _send_objects(connection: Connection, source: ObjectSource, progress: Progress) -> str:
    """As `_send_url`."""
    from modelyard.packaging.downloads import download_objects  # noqa: PLC0415 (loaded when first needed)

    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        return send_tree(connection, download_objects(source, Path(folder), progress), progress)
