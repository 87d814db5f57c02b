"""Answers that are the same for everybody, found by the very bytes of a request.

A browser, or a proxy before many of them, asks for a file of a public site in the same words each time. What those
words mean was found out once, by the parser and the lanes; as long as the table of hosts is the same, they mean it
again.
"""

from typing import NamedTuple

REQUEST_BYTES_MAX = 1024
"""Longer requests are read each time."""

REPEATS_MAX = 1024
"""Requests whose answer is remembered; beyond it all are forgotten."""

_BEGINS = b"G"[0]
_END = b"\r\n\r\n"


class Said(NamedTuple):
    head: bytes
    """Status line and header lines, but for those that differ each time."""
    body: bytes


class Repeats:
    def __init__(self) -> None:
        self._said: dict[bytes, Said] = {}

    def find(self, request: bytes) -> Said | None:
        return self._said.get(request)

    def learn(self, request: bytes, said: Said) -> None:
        if request.endswith(_END):
            if len(self._said) >= REPEATS_MAX:
                self._said.clear()
            self._said[request] = said

    def forget(self) -> None:
        """The table of hosts is another one."""
        self._said.clear()


def may_repeat(data: bytes) -> bool:
    """Whether what has come could be a whole request that is answered so. It is asked of everything that comes."""
    return data[0] == _BEGINS and len(data) <= REQUEST_BYTES_MAX
