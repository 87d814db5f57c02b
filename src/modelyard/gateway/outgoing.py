"""Requests of the gateway's own to other servers: for routes that lead to a URL, and for the keys of issuers.

A name is resolved here, every address that it has is judged, and the connection goes to the very address that was
judged. What is on this machine, whatever its address, is refused: the yard's own control is there. A redirect is an
answer like any other, and not followed.
"""

import asyncio
import logging
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import httptools

from modelyard.domain.addresses import why_refused
from modelyard.domain.gateways import BODY_BYTES_MAX, Met
from modelyard.domain.payloads import HttpAnswer
from modelyard.errors import DeadlinePassed, Forbidden, InvalidValue, ModelyardError, ReplicaDied, TooLarge
from modelyard.gateway.answers import status_line
from modelyard.gateway.passing import Headers, answer_headers, lines, request_headers

if TYPE_CHECKING:
    from modelyard.gateway.api_calls import ApiCall
    from modelyard.gateway.connection import HttpConnection

ANSWER_BYTES_MAX = 10 * 2**20
"""API Gateway's limit for an answer."""

HEAD_BYTES_MAX = 64 * 2**10
"""Of an answer's headers together."""

READ_BYTES = 64 * 2**10
FINAL = 200
"""A status from here on is an answer; below it more is to come."""

CALLS_MAX = 512
"""Requests to other servers that are under way at once."""

_PARAMETER = re.compile(r"\{([A-Za-z0-9._-]+)\+?\}")
_SAFE = "-._~!$&'()*+,;=:@"
"""What may stand in a segment of a path as it is (RFC 3986, 3.3)."""

_log = logging.getLogger("modelyard.gateway")


class Fetched(NamedTuple):
    status: int
    headers: Headers
    body: bytes


class _Answer:
    """What a response's parser finds."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: Headers = []
        self.head_size = 0
        self.parts: list[bytes] = []
        self.size = 0
        self.ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))
        self.head_size += len(name) + len(value)

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        self.parts.append(body)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() < FINAL:
            # The answer itself comes after it (RFC 9110, 15.2).
            self.headers.clear()
        else:
            self.ended = True


class Outgoing:
    def __init__(self, allowed: frozenset[tuple[str, int]] = frozenset()) -> None:
        """`allowed` are addresses with ports that the yard's owner permits, wherever they are."""
        self._allowed = allowed
        self._room = asyncio.Semaphore(CALLS_MAX)
        self._tls: ssl.SSLContext | None = None

    async def fetch(self, method: str, url: str, headers: Headers, body: bytes, timeout_seconds: float) -> Fetched:
        """Raises Forbidden for an address that is refused, DeadlinePassed, TooLarge, ReplicaDied where it fails."""
        try:
            async with asyncio.timeout(timeout_seconds), self._room:
                return await self._fetch(method, url, headers, body)
        except TimeoutError as error:
            raise DeadlinePassed(f"cannot ask {_origin(url)}: it did not answer in {timeout_seconds:g} s") from error
        except (OSError, UnicodeError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ReplicaDied(f"cannot ask {_origin(url)}: {error}") from error

    async def _fetch(self, method: str, url: str, headers: Headers, body: bytes) -> Fetched:
        split = urlsplit(url)
        host = split.hostname or ""
        encrypted = split.scheme == "https"
        port = split.port or (443 if encrypted else 80)
        connected = await self._connect(host, port)
        try:
            reader, writer = await asyncio.open_connection(
                sock=connected, ssl=self._context() if encrypted else None, server_hostname=host if encrypted else None
            )
        except BaseException:
            connected.close()
            raise
        try:
            target = (split.path or "/") + (f"?{split.query}" if split.query else "")
            writer.write(_head(method, target, split.netloc, headers, len(body)) + body)
            await writer.drain()
            return await _read(reader, is_head=method == "HEAD")
        finally:
            writer.close()

    async def _connect(self, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        refused, failed = "", None
        for family, kind, protocol, _, address in found:
            why = None if self._allows(address[0], port) else why_refused(str(address[0]))
            if why is not None:
                refused = why
                continue
            one = socket.socket(family, kind, protocol)
            one.setblocking(False)
            try:
                await loop.sock_connect(one, address)
            except OSError as error:
                one.close()
                failed = error
                continue
            except BaseException:
                one.close()
                raise
            if one.getsockname()[0] == one.getpeername()[0] and not self._allows(address[0], port):
                one.close()
                refused = "it is this machine"
                continue
            return one
        if failed is not None:
            raise failed
        raise Forbidden(
            f"cannot ask {host}: {refused or 'it has no address'}",
            f"the yard's owner can allow it: MODELYARD_GATEWAY_TARGETS={host}:{port}",
        )

    def _allows(self, address: Any, port: int) -> bool:
        return (str(address).partition("%")[0], port) in self._allowed

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _origin(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


def _head(method: str, target: str, host: str, headers: Headers, length: int) -> bytes:
    start = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n".encode("latin-1")
    framing = b"content-length: %d\r\n" % length if length or method in ("POST", "PUT", "PATCH") else b""
    return start + lines(headers) + framing + b"\r\n"


async def _read(reader: asyncio.StreamReader, *, is_head: bool) -> Fetched:
    answer = _Answer()
    status = 0
    while not answer.ended:
        data = await reader.read(READ_BYTES)
        if not data:
            break
        answer.parser.feed_data(data)
        status = answer.parser.get_status_code()
        if answer.size > ANSWER_BYTES_MAX:
            raise TooLarge(f"cannot pass the answer on: it is over {ANSWER_BYTES_MAX} bytes")
        if answer.head_size > HEAD_BYTES_MAX:
            raise TooLarge(f"cannot pass the answer on: its headers are over {HEAD_BYTES_MAX} bytes")
        if is_head and status >= FINAL:
            break
    measured = any(name in (b"content-length", b"transfer-encoding") for name, _ in answer.headers)
    if status < FINAL or (measured and not answer.ended and not is_head):
        raise ConnectionResetError("it closed the connection")
    return Fetched(status, answer.headers, b"".join(answer.parts))


class UrlCall:
    """A request that another server answers; an exchange (`exchange.Exchange`)."""

    def __init__(self, connection: "HttpConnection", call: "ApiCall", met: Met) -> None:
        """Raises InvalidValue where a parameter would lead out of the URL's path."""
        self.keep_alive = True
        self.call = call
        self._connection = connection
        self._url = _url_for(met, call.query)
        self._timeout_seconds = met.route.timeout_seconds
        self._met = met
        self._parts: list[bytes] = []
        self._size = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def body_bytes(self) -> int:
        return self._size

    def on_body(self, chunk: bytes) -> None:
        """Raises TooLarge."""
        self._size += len(chunk)
        if self._size > BODY_BYTES_MAX:
            raise TooLarge("Request Entity Too Large")
        self._connection.gateway.held_bytes += len(chunk)
        self._parts.append(chunk)

    def on_complete(self) -> None:
        """What follows waits for its turn."""

    def start(self) -> None:
        self._task = self._connection.gateway.loop.create_task(self._carry())

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._release()

    def can_write(self) -> None:
        """The answer is written whole."""

    def word(self, error: ModelyardError) -> tuple[int, bytes, bytes]:
        status, head, body = self.call.refused(error)
        return status, head + self.call.cors, body

    async def _carry(self) -> None:
        call = self.call
        try:
            if call.authorize is not None:
                call.claims = await call.authorize()
            body = b"".join(self._parts)
            call.api.check_body(self._met, body)
            outgoing = self._connection.gateway.outgoing
            fetched = await outgoing.fetch(call.method, self._url, self._headers(), body, self._timeout_seconds)
            headers = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer_headers(fetched.headers)
            ]
            status, head, answer = call.dressed(HttpAnswer(fetched.status, headers, fetched.body))
            head += call.cors
        except ModelyardError as error:
            if not isinstance(error, InvalidValue):
                _log.warning("gateway %s: %s", call.api.name, error.message)
            status, head, answer = self.word(_without_details(error))
        except Exception:  # noqa: BLE001 (the line below says why)
            # Whoever asked is answered, whatever it was.
            _log.exception("gateway %s: a request to another server failed", call.api.name)
            status, head, answer = self.word(ReplicaDied(""))
        self._release()
        request_id = call.request_id.encode("latin-1")
        self._connection.write_answer(
            status_line(status) + head, answer, request_id, self.keep_alive, is_head=call.method == "HEAD"
        )
        call.finish(status, len(answer))
        self._connection.finished(self)

    def _headers(self) -> Headers:
        call, connection = self.call, self._connection
        shown = bool(call.api.config.keys) and call.key_name is not None
        passed = [one for one in request_headers(list(call.headers), credential=False) if one[0] != b"host"]
        if shown:
            passed = [one for one in passed if one[0] != b"x-api-key"]
        host = next((value for name, value in call.headers if name == b"host"), b"")
        scheme = b"https" if connection.is_encrypted else b"http"
        passed += [
            (b"x-forwarded-for", call.address.encode() or b"local"),
            (b"x-forwarded-proto", scheme),
            (b"x-forwarded-host", host),
            (b"x-request-id", call.request_id.encode("latin-1")),
        ]
        return passed

    def _release(self) -> None:
        held = sum(map(len, self._parts))
        self._parts = []
        self._connection.gateway.held_bytes -= held


def _without_details(error: ModelyardError) -> ModelyardError:
    """Why another server could not be asked is the owner's to know: it is in the log."""
    return ReplicaDied("") if isinstance(error, Forbidden | TooLarge) else error


def _url_for(met: Met, query: str) -> str:
    def filled(found: re.Match[str]) -> str:
        value = met.parameters.get(found[1], "")
        if any(part in (".", "..") for part in value.replace("\\", "/").split("/")):
            raise InvalidValue("Bad Request", "a parameter must not have . or .. for a segment")
        # What matched one segment stays one: its slash was written as %2F.
        takes_the_rest = f"{{{found[1]}+}}" in met.route.path
        return quote(value, safe=_SAFE + "/" if takes_the_rest else _SAFE)

    url = _PARAMETER.sub(filled, str(met.route.target.url))
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
