"""How much of the memory that it frees a process keeps, for the next large body.

glibc gives the top of its heap back to the kernel once more than twice its largest block is free there. A body of a
megabyte, the parser's copy of it and its numbers are more than that together, so each request would have them all
mapped and zeroed again: 605 pages and 0.8 ms of CPU for a megabyte of JSON that takes 1.4 ms to parse (measured).
Whoever sees a large body asks for another rule, once; a process that never sees one keeps nothing.
"""

KEPT_BYTES_MAX = 64 * 2**20
"""Freed memory at the top of the heap up to this is kept: of what was mapped; held is only what was written to."""

MAPPED_BYTES_MIN = 32 * 2**20
"""Blocks from this size are the kernel's: mapped when they are wanted, given back when they are freed. Both are what
glibc's own rule comes to at most; less would take from parsers that ask for much and use little of it (orjson)."""

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""

_asked = False


def keep_freed() -> None:
    """Keeps up to KEPT_BYTES_MAX of what is freed from now on. Does nothing where the C library has no such rule."""
    global _asked  # noqa: PLW0603 (the rule is the process's)
    if _asked:
        return
    _asked = True
    import ctypes  # most processes never need it

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES_MAX)
