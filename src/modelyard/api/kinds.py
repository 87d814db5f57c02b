"""What a deployment may hold beside endpoints: for each kind, how its document is checked and completed."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from modelyard.api.alarms import check_alarm_asked
from modelyard.api.asked import Asked
from modelyard.api.batches import check_batch_asked
from modelyard.api.gateways import check_gateway_asked
from modelyard.api.sites import check_site_asked
from modelyard.api.splitters import check_splitter_asked
from modelyard.api.trainings import check_training_asked
from modelyard.domain.names import nearest
from modelyard.errors import InvalidValue
from modelyard.store.ports import JsonObject

Check = Callable[[Asked], JsonObject]
"""The document to keep, defaults filled in. Raises as checks do; then nothing of the deployment is wished."""

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "alarm": check_alarm_asked,
        "batch": check_batch_asked,
        "gateway": check_gateway_asked,
        "site": check_site_asked,
        "traffic_splitter": check_splitter_asked,
        "training": check_training_asked,
    }
)
"""By kind. A new kind is a module of its own on each floor, and a line here."""


def check_resource(kind: str, asked: Asked) -> JsonObject:
    """Raises InvalidValue for a kind that there is not, and whatever that kind's check raises."""
    check = CHECKS.get(kind)
    if check is None:
        known = ["endpoint", *CHECKS]
        close = nearest(kind, known)
        hint = f"did you mean {close}?" if close else f"kinds are {', '.join(known)}"
        raise InvalidValue(f"cannot deploy {asked.name}: {kind!r} is not a kind", hint)
    # As it is read back: a tuple and a list, which are one in JSON, would be a change with every deploy.
    return json.loads(json.dumps(check(asked)))
