"""A large body, kept where the replica reads it by itself instead of getting it in frames.

In frames a megabyte would be copied half a dozen times, in pieces as small as a socket's buffer, and the replica would
have to take each piece between two predictions. Kept in anonymous memory it is written once and read once, and the
replica fetches it when its turn comes. Beyond IN_MEMORY_BYTES_MAX it moves to a file of the spool.

A descriptor's number is used again after it was closed. So what the replica is told names the very file by its inode
too, and a request that was given up can never read another's body.
"""

import os
import tempfile
from pathlib import Path

from modelyard_worker.heap import keep_freed

IN_MEMORY_BYTES_MAX = 8 * 2**20
"""Bodies over this go to disk."""

HAS_ANONYMOUS_MEMORY = hasattr(os, "memfd_create")
"""Linux has it; elsewhere bodies go in frames until they are large enough for the disk."""


class KeptBody:
    __slots__ = ("_descriptor", "_file", "in_memory", "reference", "size_bytes")

    def __init__(self, folder: str, *, in_memory: bool) -> None:
        """`folder` is the spool. Raises OSError."""
        keep_freed()
        self.in_memory = in_memory
        self.size_bytes = 0
        self.reference = b""
        """What the replica is told, once the body is whole."""
        self._file: str | None = None
        self._descriptor: int | None = None
        if in_memory:
            self._descriptor = os.memfd_create("body")
        else:
            self._descriptor, self._file = tempfile.mkstemp(dir=folder, prefix="body-")

    def write(self, chunk: bytes) -> None:
        """Raises OSError."""
        assert self._descriptor is not None
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.size_bytes += len(chunk)

    def move_to(self, folder: str) -> None:
        """From memory to a file of the spool. Raises OSError, and stays where it is."""
        memory = self._descriptor
        assert memory is not None
        descriptor, file = tempfile.mkstemp(dir=folder, prefix="body-")
        try:
            sent = 0
            while sent < self.size_bytes:
                sent += os.sendfile(descriptor, memory, sent, self.size_bytes - sent)
        except OSError:
            os.close(descriptor)
            Path(file).unlink()
            raise
        os.close(memory)
        self._descriptor, self._file, self.in_memory = descriptor, file, False

    def complete(self) -> None:
        """Nothing more comes: `reference` can be sent."""
        assert self._descriptor is not None
        if self._file is None:
            inode = os.fstat(self._descriptor).st_ino
            self.reference = b"/proc/%d/fd/%d\0%d" % (os.getpid(), self._descriptor, inode)
            return
        os.close(self._descriptor)
        self._descriptor = None
        self.reference = os.fsencode(self._file)

    def drop(self) -> None:
        """It is needed no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._file is not None:
            Path(self._file).unlink(missing_ok=True)
            self._file = None
