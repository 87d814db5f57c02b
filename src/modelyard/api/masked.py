"""What processes printed, with secrets masked. Masking needs whole lines: a value may come in two parts."""

from collections.abc import AsyncIterator

from modelyard.api.yard import Yard

LINE_BYTES_MAX = 1 * 2**20
"""A line that is longer is masked and handed on in pieces."""

_ENDS = (b"\n", b"\r")


async def masked(yard: Yard, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same text. What ends in the middle of a line waits for the line's end; values set meanwhile count too."""
    rest = b""
    async for part in parts:
        rest += part
        whole = 1 + max(rest.rfind(end) for end in _ENDS)
        if not whole and len(rest) > LINE_BYTES_MAX:
            whole = len(rest)
        if whole:
            yield yard.store.secrets.masks().content(rest[:whole])
            rest = rest[whole:]
    if rest:
        yield yard.store.secrets.masks().content(rest)
