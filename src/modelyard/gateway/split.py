"""Which of several services answers a request: by weight, or the one that the request names.

Weights are kept by smooth weighted round robin, as nginx has it: each is due its weight more at every request, the one
that is due most is taken and pays for all. So a tenth is every tenth request, not one in ten on average, and no random
number is drawn. Nothing here is touched by requests for an endpoint that one version serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from modelyard.domain import splitters
from modelyard.domain.names import nearest
from modelyard.errors import NotFound
from modelyard.protocol import routes

if TYPE_CHECKING:
    from modelyard.gateway.service import Service
    from modelyard.gateway.shadow import Shadow

TARGET_VARIANT = routes.TARGET_VARIANT.encode()

ALL_TRAFFIC = splitters.ALL_TRAFFIC.encode()


class Choice(NamedTuple):
    service: "Service"
    variant: bytes | None
    """What the answer says who gave it; None leaves it to the version."""
    shadow: "Shadow | None"
    """Who gets a copy."""


@dataclass(slots=True)
class Option:
    service: "Service"
    weight: float
    name: bytes
    """As a request may name it."""
    variant: bytes | None = None
    due: float = 0.0


class Split:
    """`avoids_unready` lets another option answer for one that has no ready replica; else a request waits for it, and
    wakes it."""

    def __init__(
        self, options: Sequence[Option], shadow: "Shadow | None" = None, *, avoids_unready: bool = False
    ) -> None:
        self.options = options
        self.shadow = shadow
        self._total = sum(one.weight for one in options)
        self._avoids_unready = avoids_unready

    def choose(self, wanted: bytes | None) -> Choice:
        """Raises NotFound for a name that there is not."""
        if wanted is not None and wanted.lower() != ALL_TRAFFIC:
            found = next((one for one in self.options if one.name.lower() == wanted.lower()), None)
            if found is None:
                raise no_variant(wanted, [one.name for one in self.options])
            return Choice(found.service, found.variant, None)
        best = self._next()
        if best is None:
            raise NotFound("cannot predict: none of the members has any of the traffic", "give one of them a weight")
        return Choice(best.service, best.variant, self.shadow)

    def _next(self) -> Option | None:
        best: Option | None = None
        for one in self.options:
            one.due += one.weight
            if best is None or one.due > best.due:
                best = one
        if best is None or not self._total:
            return None
        best.due -= self._total
        if self._avoids_unready and not best.service.ready_here:
            return next((one for one in self.options if one.weight and one.service.ready_here), best)
        return best


def no_variant(wanted: bytes, known: Sequence[bytes]) -> NotFound:
    """The refusal for a variant that there is not."""
    shown = wanted[:64].decode("latin-1")
    names = [one.decode() for one in known]
    close = nearest(shown, names)
    hint = f"did you mean {close}?" if close else f"there are {', '.join(names)}"
    return NotFound(f"cannot predict: there is no variant {shown!r}", hint)
