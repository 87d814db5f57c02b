"""What a process says to the supervisor: a datagram with the name of a process that somebody needs.

It only wakes. Whether a process that stays is wanted says its file (`Home.tracking_wanted`), which outlives the
supervisor; one that goes by itself when it has nothing to do is started for the word alone.
"""

import contextlib
import socket
from pathlib import Path

from modelyard.settings import Home

DISPATCHER = "dispatcher"
MLFLOW = "mlflow"


def wish_for(supervisor_socket: Path, process: str) -> None:
    """Harmless where there is no supervisor; where it has not read what it was told before, it is about to look."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire, contextlib.suppress(OSError):
        wire.setblocking(False)
        wire.sendto(process.encode(), str(supervisor_socket))


def wake_dispatcher(home: Home) -> None:
    """Tells the dispatcher that there is something to do; where there is none, the supervisor starts it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        try:
            wire.sendto(b"wake", str(home.dispatcher_socket))
        except BlockingIOError:
            # It has not read what it was told before: it is about to look.
            return
        except OSError:
            wish_for(home.supervisor_socket, DISPATCHER)
