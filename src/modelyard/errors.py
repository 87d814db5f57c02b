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
    |   |-- TooManyRequests     more at once, or in so short a time, than whoever asks may
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
    """Root of the tree. `code` is the stable word for programs; `remedy` what people do about
    any error of this code, `hint` what they do about this one, or None."""

    code: ClassVar[str] = "internal"
    remedy: ClassVar[str] = "Look into the log of the process that answered, under the request id; please report it."

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(ModelyardError):
    code = "refused"
    remedy = "Read the message; the hint names what would be right."


class InvalidValue(Refused):
    code = "invalid_value"
    remedy = "Mend the field that the message names."


class NotFound(Refused):
    code = "not_found"
    remedy = "Take the nearest name, which the hint has, or list what is there with `modelyard get`."


class Ambiguous(Refused):
    code = "ambiguous"
    remedy = "Say which: KIND/NAME."


class Conflict(Refused):
    code = "conflict"
    remedy = "Look at the thing with `modelyard get`; wait, or choose another name."


class Unauthorized(Refused):
    code = "unauthorized"
    remedy = "Send `Authorization: Bearer KEY`; the key is in the home's file `key`."


class Forbidden(Refused):
    code = "forbidden"
    remedy = "Use the address that `modelyard up` printed, and a client that holds the key."


class TooLarge(Refused):
    code = "too_large"
    remedy = "Send less at once, or raise the limit that the message names."


class Unavailable(ModelyardError):
    code = "unavailable"
    remedy = "Try again later."


class QueueFull(Unavailable):
    code = "queue_full"
    remedy = "Try again after `retry-after`; give the endpoint more replicas or a longer queue."


class TooManyRequests(Unavailable):
    code = "too_many_requests"
    remedy = "Ask again a little later; raise the function's `concurrency`, or the rate of the key's usage plan."


class NotReady(Unavailable):
    code = "not_ready"
    remedy = "Wait for the endpoint, or see with `modelyard get NAME` why it is not ready."


class NoRoom(Unavailable):
    code = "no_room"
    remedy = "Make room on the disk: `modelyard gc` shows what can go."


class DeadlinePassed(Unavailable):
    code = "deadline_passed"
    remedy = "Raise `timeout` of the endpoint, or make the prediction faster."


class YardDown(Unavailable):
    code = "yard_down"
    remedy = "Start the yard: `modelyard up`."


class Broken(ModelyardError):
    code = "broken"
    remedy = "Read the log that the hint names."


class ReplicaDied(Broken):
    code = "replica_died"
    remedy = "See its last words: `modelyard logs NAME`."


class PredictorFailed(Broken):
    code = "predictor_failed"
    remedy = "See the traceback: `modelyard logs NAME --request ID`."


class StartFailed(Broken):
    code = "start_failed"
    remedy = "Mend what the last lines of its log say, and deploy again."


class StoreFailed(Broken):
    code = "store_failed"
    remedy = "See that the disk is well and not full; then ask again."


def error_types() -> dict[str, type[ModelyardError]]:
    """Every error of the tree by its code, so that a client can raise again what a server answered.

    Where a kind of error has the code of the one that it is a kind of, the more general is meant.
    """
    found: dict[str, type[ModelyardError]] = {}
    waiting: list[type[ModelyardError]] = [ModelyardError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found
