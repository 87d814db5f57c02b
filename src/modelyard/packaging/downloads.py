"""Files behind URLs and objects of S3, brought to this machine."""

import os
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path

from modelyard_worker.object_store import Listed, ObjectStore, Place, relative_name

from modelyard.domain.sources import ObjectSource, UrlSource
from modelyard.errors import DeadlinePassed, InvalidValue, NotFound, TooLarge, Unavailable
from modelyard.packaging.files import FILES_MAX, LocalFile

URL_BYTES_MAX = 64 * 2**30
"""Most that is downloaded for one input."""

URL_SECONDS_MAX = 30.0
"""How long a server may say nothing."""

REDIRECTS_MAX = 5
CHUNK_BYTES = 2**20

Told = Callable[[str, int, int], None]
"""What goes on, and of how many bytes so many are done."""


def download_url(source: UrlSource, folder: Path, tell: Told) -> list[LocalFile]:
    """The file into `folder`. Raises NotFound, InvalidValue, Unavailable, DeadlinePassed, TooLarge."""
    place = folder / "download"
    size_bytes = _download(source, place, tell)
    return [LocalFile(source.file_name, place, size_bytes, executable=False)]


def _download(source: UrlSource, place: Path, tell: Told) -> int:
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
                tell("downloading", received, max(total, received))
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


def download_objects(
    source: ObjectSource, folder: Path, tell: Told, environment: Mapping[str, str] | None = None
) -> list[LocalFile]:
    """The object, or all whose keys begin so, into `folder`. Where they are and as whom they are read, `environment`
    says under AWS's own names; by default this process's. Raises as `download_url` does."""
    store = ObjectStore(os.environ if environment is None else environment)
    prefix = Place(source.bucket, source.key)
    try:
        found = _find(store, prefix)
        total = sum(one.size_bytes for one in found)
        if total > URL_BYTES_MAX:
            raise TooLarge(f"cannot download {source.url}: it has more than {URL_BYTES_MAX} bytes")
        files: list[LocalFile] = []
        done = 0
        for number, one in enumerate(found):
            place = folder / f"{number:06d}"
            done = _fetch(store, one, place, tell, done, total)
            name = relative_name(prefix, one.place.key)
            files.append(LocalFile(name, place, place.stat().st_size, executable=False))
    except urllib.error.HTTPError as error:
        _check_answer(source.url, error.code)
        raise
    except OSError as error:
        raise Unavailable(
            f"cannot download {source.url}: {getattr(error, 'reason', error)}", "try again later"
        ) from error
    return files


def _find(store: ObjectStore, prefix: Place) -> list[Listed]:
    found: list[Listed] = []
    for one in store.find(prefix):
        if one.place == prefix:
            return [one]
        found.append(one)
        if len(found) > FILES_MAX:
            raise InvalidValue(f"cannot use {prefix.url}: it has more than {FILES_MAX} objects", "pack them together")
    if not found:
        raise NotFound(f"cannot find {prefix.url}: no object's key begins so", "see that bucket and key are right")
    return found


def _fetch(store: ObjectStore, one: Listed, target: Path, tell: Told, done: int, total: int) -> int:
    """How many bytes are there with this object. It must be what was listed: a mixture of two would be neither."""
    with store.open("GET", one.place, headers={"If-Match": f'"{one.etag}"'}) as answer, target.open("wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            done += file.write(chunk)
            tell("downloading", done, total)
    if target.stat().st_size != one.size_bytes:
        raise Unavailable(f"cannot download {one.place.url}: the connection ended early", "try again")
    return done
