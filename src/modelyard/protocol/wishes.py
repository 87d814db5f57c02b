"""What a process says to the supervisor: a datagram with the name of a process that somebody needs.

It only wakes. Whether a process that stays is wanted says its file (`Home.tracking_wanted`), which outlives the
supervisor; one that goes by itself when it has nothing to do is started for the word alone.
"""

import contextlib
import socket
from pathlib import Path

DISPATCHER = "dispatcher"
MLFLOW = "mlflow"


def wish_for(supervisor_socket: Path, process: str) -> None:
    """Harmless where there is no supervisor; where it has not read what it was told before, it is about to look."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire, contextlib.suppress(OSError):
        wire.setblocking(False)
        wire.sendto(process.encode(), str(supervisor_socket))
