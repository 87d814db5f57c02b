"""One HTTP connection to a yard: requests as JSON, errors raised again as the yard meant them."""

import ssl
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DeadlinePassed, Unauthorized, YardDown
from modelyard.protocol.errors import error_from
from modelyard.protocol.routes import API
from modelyard.sdk.address import UP, Address

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 60.0
ERROR_BYTES_MAX = 1 * 2**20
"""How much of an answer that is an error is read."""

Params = Mapping[str, str | int | float | bool | Sequence[str] | None]


class Connection:
    """Thread-safe, as httpx's client is. `transport` replaces the network, for a yard in the same process."""

    def __init__(
        self, address: Address, transport: "httpx.BaseTransport | None" = None, *, own_files: bool = True
    ) -> None:
        """`own_files` says that this machine's files are those of whoever asks. Where it is False, as in the console,
        nothing of them is read, and a path is one of the yard's machine."""
        import httpx  # noqa: PLC0415 (takes a quarter of a second; a command that needs no yard must not pay for it)

        self.address = address
        self.own_files = own_files
        loopback_or_plain = address.url.startswith("http:")
        self._http = httpx.Client(
            base_url=address.url,
            headers={"authorization": f"Bearer {address.key}"} if address.key else {},
            timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
            # Without TLS no authority's certificate is ever looked at, and loading them takes longer than a request.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if loopback_or_plain else True,
            trust_env=not loopback_or_plain,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Any:
        return self._ask("GET", API + path, params=_given(params)).json()

    def post(self, path: str, document: Any = None) -> Any:
        return self._ask("POST", API + path, json=document).json()

    def delete(self, path: str, params: Params | None = None) -> Any:
        return self._ask("DELETE", API + path, params=_given(params)).json()

    def put(self, path: str, content: Iterator[bytes], size_bytes: int) -> None:
        """Sends `content` as it comes; its size is told first, so that the yard can refuse before it reads."""
        self._ask("PUT", API + path, content=content, headers={"content-length": str(size_bytes)})

    def patch(self, path: str, document: Any) -> Any:
        return self._ask("PATCH", API + path, json=document).json()

    def put_document(self, path: str, document: Any) -> Any:
        return self._ask("PUT", API + path, json=document).json()

    def ask(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], limit_seconds: float | None
    ) -> "httpx.Response":
        """A request outside the API, such as a prediction. The answer is good; everything else is raised."""
        more: dict[str, Any] = {"timeout": limit_seconds} if limit_seconds is not None else {}
        return self._ask(method, path, content=content, headers=dict(headers), **more)

    def answers(self, path: str) -> bool:
        """Whether the yard answers `path` with success."""
        try:
            self._ask("GET", path)
        except Exception:  # noqa: BLE001 (whatever it is, it is no answer)
            return False
        return True

    def lines(self, path: str, params: Params | None = None) -> Iterator[str]:
        """Text as it comes, by lines without their ends. Waits for as long as the yard keeps the answer open."""
        return self._lines("GET", API + path, params=_given(params))

    def post_lines(self, path: str, document: Any) -> Iterator[str]:
        """The same, asked with a document."""
        return self._lines("POST", API + path, json=document)

    def _lines(self, method: str, path: str, **request: Any) -> Iterator[str]:
        import httpx  # noqa: PLC0415 (see __init__)

        endless = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS, read=None)
        with (
            self._errors(),
            self._http.stream(method, path, timeout=endless, **request) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            try:
                yield from response.iter_lines()
            except httpx.RemoteProtocolError as error:
                raise YardDown(f"cannot read on: the yard at {self.address.url} is going down", UP) from error

    def fetch(self, path: str, target: Path) -> None:
        """Writes an answer of any size to a file, which must not be there yet."""
        with self._errors(), self._http.stream("GET", API + path) as response:
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            with target.open("xb") as written:
                for chunk in response.iter_bytes():
                    written.write(chunk)

    def _ask(self, method: str, path: str, **request: Any) -> "httpx.Response":
        with self._errors():
            response = self._http.request(method, path, **request)
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _refusal(self, response: "httpx.Response") -> Exception:
        try:
            body: Any = response.json() if len(response.content) <= ERROR_BYTES_MAX else None
        except ValueError:
            body = None
        error = error_from(body, response.status_code)
        if isinstance(error, Unauthorized) and self.address.key is None:
            return Unauthorized(error.message, "set MODELYARD_API_KEY to the yard's key")
        return error

    @contextmanager
    def _errors(self) -> Generator[None]:
        import httpx  # noqa: PLC0415 (see __init__)

        try:
            yield
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as error:
            raise DeadlinePassed(
                f"cannot get an answer from the yard at {self.address.url} in time",
                "`modelyard status` shows its state",
            ) from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise YardDown(f"cannot reach a yard at {self.address.url}: {reason}", UP) from error


def _given(params: Params | None) -> dict[str, str | int | float | bool | Sequence[str]]:
    return {name: value for name, value in (params or {}).items() if value is not None}
