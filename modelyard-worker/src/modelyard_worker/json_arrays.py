"""Large JSON arrays of numbers, straight to NumPy where simdjson is found.

Any other parser makes a Python float of each number and a list of each row, and NumPy makes an array of these: for a
megabyte that takes twice as long as parsing it. simdjson writes the numbers one after the other into a buffer. What it
does not take, or takes differently, is left to the ordinary way, which then says what is wrong.
"""

import threading
from typing import Any, Optional

LARGE_BYTES = 8 * 1024
"""Below this the ordinary way is as quick."""

COUNTED_BYTES = 64 * 1024
"""Of a body, how much is looked through at once."""

_OPENING = ord("[")
_FLOAT_SIGNS = (b".", b"e", b"E")
"""Any of these is in a text that has a float. Without one the array is of integers; simdjson would make it floats."""

_own = threading.local()
"""A parser per thread: its memory is used again, and it parses one text at a time."""


def read_numbers(body: bytes) -> Optional[Any]:
    """A float64 array of one or two dimensions; None where the ordinary way has to say what the body is."""
    if len(body) < LARGE_BYTES or body[0] != _OPENING or not any(sign in body for sign in _FLOAT_SIGNS):
        return None
    parser = _parser()
    if parser is None:
        return None
    try:
        return _array(parser.parse(body), body)
    except (ValueError, TypeError, IndexError, RuntimeError):
        # Not JSON, not numbers alone, nothing in it, integers of more than 64 bits.
        return None


def _parser() -> Optional[Any]:
    """This thread's; None where simdjson is not in the environment. It is looked for when a large body comes."""
    if not hasattr(_own, "parser"):
        try:
            import simdjson
        except ImportError:
            _own.parser = None
        else:
            _own.parser = simdjson.Parser()
    return _own.parser


def _array(document: Any, body: bytes) -> Optional[Any]:
    import numpy as np

    first = document[0]
    values = np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    opened = _count_opened(body)
    if opened == 1:
        return values
    # The buffer tells no rows apart: they are of one length, and nothing lies deeper, or the array is not this one.
    if opened != len(document) + 1 or not hasattr(first, "as_buffer"):
        return None
    width = len(first)
    if any(len(row) != width for row in document):
        return None
    return values.reshape(len(document), width)


def _count_opened(body: bytes) -> int:
    import numpy as np

    codes = np.frombuffer(body, np.uint8)
    # In pieces, for what is compared would be as large as the body, and so in no cache when it is counted.
    pieces = (codes[begin : begin + COUNTED_BYTES] for begin in range(0, len(codes), COUNTED_BYTES))
    return sum(int(np.count_nonzero(piece == _OPENING)) for piece in pieces)
