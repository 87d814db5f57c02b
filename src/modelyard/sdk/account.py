"""Who calls: for the history that a yard shows, not for any permission."""

import getpass
import socket

from modelyard.domain.endpoints import BY_LENGTH_MAX


def caller() -> str | None:
    """`ada@desk`; None where the machine does not say."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"[:BY_LENGTH_MAX]
    except (OSError, KeyError):
        return None
