"""A request and its answer. Work that answers at once and work that must wait share one shape."""

from typing import TYPE_CHECKING, Protocol

from modelyard.gateway.answers import status_line

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection


class Exchange(Protocol):
    keep_alive: bool

    @property
    def body_bytes(self) -> int:
        """How much of the request's body has come."""
        ...

    def on_body(self, chunk: bytes) -> None: ...
    def on_complete(self) -> None: ...
    def start(self) -> None: ...
    def abort(self) -> None: ...
    def can_write(self) -> None: ...


class Reply:
    """An exchange whose answer is known: a refusal, a health check."""

    def __init__(
        self,
        connection: "HttpConnection",
        status: int,
        head: bytes,
        body: bytes,
        request_id: bytes,
        *,
        is_head: bool = False,
    ) -> None:
        """`is_head` says that HEAD was asked."""
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._answer = (status_line(status) + head, body, request_id)
        self._is_head = is_head

    def on_body(self, chunk: bytes) -> None:
        # A body that nobody wants is not kept.
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        head, body, request_id = self._answer
        self._connection.write_answer(head, body, request_id, self.keep_alive, is_head=self._is_head)
        self._connection.finished(self)

    def abort(self) -> None:
        """Nothing is under way."""

    def can_write(self) -> None:
        """Nothing waits for the client."""
