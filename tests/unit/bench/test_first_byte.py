"""The first byte of the body is timed, and not the head that comes before it."""

import socket
import threading

import pytest

from bench.serving.first_byte import first_bytes

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-request-id: 0\r\n\r\n"
"""Ends as the last chunk does."""

HELD_SECONDS = 0.05


def served(pieces: list[bytes], go_on: threading.Event) -> str:
    """Answers one request with `pieces`; what follows the first is held until `go_on`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            connection.recv(65536)
            for number, piece in enumerate(pieces):
                if number:
                    assert go_on.wait(10)
                connection.sendall(piece)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_head_that_ends_like_a_last_chunk_is_not_the_body() -> None:
    go_on = threading.Event()
    threading.Timer(HELD_SECONDS, go_on.set).start()
    (found,) = first_bytes(served([HEAD, b"2\r\nhi\r\n", b"0\r\n\r\n"], go_on), b"[]", 1)
    assert HELD_SECONDS / 2 <= found.first_seconds <= found.whole_seconds


def test_a_connection_that_closes_early_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="closed the connection"):
        first_bytes(served([HEAD], threading.Event()), b"[]", 1)
