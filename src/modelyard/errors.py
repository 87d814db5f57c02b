"""Every error that Modelyard raises on purpose, as one tree.

    ModelyardError
    |-- Refused                 the request is wrong; nothing was changed
    |   |-- InvalidValue        a value, a name, a file cannot be
    |   |-- NotFound            the thing is not there
    |   |-- Ambiguous           a name means several things
    |   |-- Conflict            the thing is there, but in a state or in hands that forbid this
    |   |-- Unauthorized        no credential, or a wrong one
    |   |-- Forbidden           the credential does not reach that far, or the request comes from a foreign page
    |   `-- TooLarge            a body, a file, a header is over its named limit
    |-- Unavailable             right request, wrong moment; trying again later may work
    |   |-- QueueFull           the endpoint's queue is at its bound
    |   |-- NotReady            nothing can answer yet
    |   |-- NoRoom              the disk is nearly full: new work waits, predictions go on
    |   |-- DeadlinePassed      the answer did not come within the limit
    |   `-- YardDown            no yard answers at that address
    `-- Broken                  something of ours, or of the user's code, failed
        |-- ReplicaDied         the process died while it held the request
        |-- PredictorFailed     the predictor raised
        |-- StartFailed         a process could not be started or did not become ready
        `-- StoreFailed         the disk or the database refused

A message begins with "cannot", names the thing and the place; `hint` names the remedy. The ground knows no HTTP: the
api and each door map types to codes in one table of their own.
"""

from typing import ClassVar


class ModelyardError(Exception):
    """Root of the tree. `code` is the stable word for programs; `hint` the remedy for people, or None."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(ModelyardError):
    code = "refused"


class InvalidValue(Refused):
    code = "invalid_value"


class NotFound(Refused):
    code = "not_found"


class Ambiguous(Refused):
    code = "ambiguous"


class Conflict(Refused):
    code = "conflict"


class Unauthorized(Refused):
    code = "unauthorized"


class Forbidden(Refused):
    code = "forbidden"


class TooLarge(Refused):
    code = "too_large"


class Unavailable(ModelyardError):
    code = "unavailable"


class QueueFull(Unavailable):
    code = "queue_full"


class NotReady(Unavailable):
    code = "not_ready"


class NoRoom(Unavailable):
    code = "no_room"


class DeadlinePassed(Unavailable):
    code = "deadline_passed"


class YardDown(Unavailable):
    code = "yard_down"


class Broken(ModelyardError):
    code = "broken"


class ReplicaDied(Broken):
    code = "replica_died"


class PredictorFailed(Broken):
    code = "predictor_failed"


class StartFailed(Broken):
    code = "start_failed"


class StoreFailed(Broken):
    code = "store_failed"


def error_types() -> dict[str, type[ModelyardError]]:
    """Every error of the tree by its code, so that a client can raise again what a server answered."""
    found: dict[str, type[ModelyardError]] = {}
    waiting: list[type[ModelyardError]] = [ModelyardError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return found
