"""Inputs of a training: from wherever they are named to trees in the yard, so that a run reads what cannot change.

Files of this machine and of URLs are sent by the client, which has the user's network and rights; what the yard has
already, in a data remote or of an earlier run, it only makes a tree of.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.sources import DvcSource, PathSource, RunSource, UrlSource, parse_source
from modelyard.errors import DeadlinePassed, InvalidValue, ModelyardError, NotFound, TooLarge, Unavailable
from modelyard.sdk.connection import Connection
from modelyard.sdk.dvc import send_tracked
from modelyard.sdk.progress import Progress
from modelyard.sdk.uploads import send_tree

URL_BYTES_MAX = 64 * 2**30
"""Most that is downloaded from one URL."""

URL_SECONDS_MAX = 30.0
"""How long a server may say nothing."""

REDIRECTS_MAX = 5
CHUNK_BYTES = 2**20


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
    from modelyard.packaging.files import LocalFile  # noqa: PLC0415 (loaded when first needed)

    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        place = Path(folder) / "download"
        size_bytes = _download(source, place, progress)
        return send_tree(connection, [LocalFile(source.file_name, place, size_bytes, executable=False)], progress)


def _download(source: UrlSource, place: Path, progress: Progress) -> int:
    import httpx  # noqa: PLC0415 (takes a quarter of a second; most inputs are paths)

    shown = source.without_secrets
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=REDIRECTS_MAX, timeout=URL_SECONDS_MAX) as client,
            client.stream("GET", source.url) as response,
            place.open("wb") as file,
        ):
            _check_answer(shown, response.status_code)
            total = int(response.headers.get("content-length") or 0)
            received = 0
            for chunk in response.iter_bytes(CHUNK_BYTES):
                received += file.write(chunk)
                if received > URL_BYTES_MAX:
                    raise TooLarge(f"cannot download {shown}: it has more than {URL_BYTES_MAX} bytes")
                progress("downloading", received, max(total, received))
            return received
    except httpx.TimeoutException as error:
        raise DeadlinePassed(f"cannot download {shown}: the server says nothing", "try again later") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"cannot download {shown}: {type(error).__name__}", "see that the address is right"
        ) from error


def _check_answer(shown: str, status: int) -> None:
    if status in (404, 410):
        raise NotFound(f"cannot download {shown}: the server has no such file (status {status})")
    if status in (401, 403):
        raise InvalidValue(f"cannot download {shown}: the server wants a credential (status {status})")
    if status != 200:
        raise Unavailable(f"cannot download {shown}: the server answered with status {status}", "try again later")
