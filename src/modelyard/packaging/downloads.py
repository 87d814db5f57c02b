"""Files behind URLs, brought to this machine."""

from collections.abc import Callable
from pathlib import Path

from modelyard.domain.sources import UrlSource
from modelyard.errors import DeadlinePassed, InvalidValue, NotFound, TooLarge, Unavailable
from modelyard.packaging.files import LocalFile

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
