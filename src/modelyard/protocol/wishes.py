"""What a process says to the supervisor, in datagrams.

    mlflow, dispatcher    the name of a process that somebody needs
    keep 8501             from a gateway, with a socket that listens at that port (SCM_RIGHTS): the next gateway gets it
    drop 8501             nothing listens at that port any more

A name only wakes. Whether a process that stays is wanted says its file (`Home.tracking_wanted`), which outlives the
supervisor; one that goes by itself when it has nothing to do is started for the word alone.
"""

import contextlib
import socket
from pathlib import Path

from modelyard.settings import Home

DISPATCHER = "dispatcher"
MLFLOW = "mlflow"
KEEP, DROP = "keep", "drop"
WISH_BYTES_MAX = 64


def wish_for(supervisor_socket: Path, process: str) -> None:
    """Harmless where there is no supervisor; where it has not read what it was told before, it is about to look."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire, contextlib.suppress(OSError):
        wire.setblocking(False)
        wire.sendto(process.encode(), str(supervisor_socket))


def keep_listener(supervisor_socket: Path, port: int, listening: socket.socket) -> bool:
    """Has the supervisor keep what listens at a port, so that it outlives whoever says so; whether it was told."""
    return _tell(supervisor_socket, f"{KEEP} {port}", listening)


def drop_listener(supervisor_socket: Path, port: int) -> bool:
    """Whether it was told."""
    return _tell(supervisor_socket, f"{DROP} {port}")


def port_in(word: bytes, verb: str) -> int | None:
    """The port that is to be kept, or dropped; None where the word is another one."""
    said, _, port = word.decode("latin-1").partition(" ")
    return int(port) if said == verb and port.isascii() and port.isdigit() else None


def _tell(supervisor_socket: Path, word: str, *sent: socket.socket) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        try:
            # Connected: older Pythons' `send_fds` leaves out the address that it is given.
            wire.connect(str(supervisor_socket))
            socket.send_fds(wire, [word.encode()], [one.fileno() for one in sent])
        except OSError:
            # There is none, or it has not read yet what it was told before.
            return False
    return True


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
