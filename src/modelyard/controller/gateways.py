"""API gateways: their entries among the hosts of the table. They have no processes; the gateway process answers."""

import hashlib
import logging
from dataclasses import replace

from modelyard.controller.secrets import reveal
from modelyard.domain.gateways import KIND, ApiKey, Gateway, gateway_document, gateway_from
from modelyard.errors import ModelyardError
from modelyard.protocol.routes import GATEWAYS
from modelyard.protocol.table import HostEntry, host_key
from modelyard.store.ports import Store

_log = logging.getLogger("modelyard.controller")


def gateway_hosts(store: Store) -> dict[str, HostEntry]:
    """By `host_key`."""
    entries: dict[str, HostEntry] = {}
    for resource in store.resources.select(KIND):
        name = resource.name.name
        gateway = _with_digests(store, name, gateway_from(resource.wished.spec))
        entries[host_key(KIND, name)] = HostEntry(
            kind=KIND,
            name=name,
            project=resource.project,
            hosts=tuple(one.lower() for one in gateway.hosts),
            access=gateway.access,
            prefix=f"{GATEWAYS}{name}",
            gateway=gateway_document(gateway),
            port=gateway.port,
        )
    return entries


def _with_digests(store: Store, name: str, gateway: Gateway) -> Gateway:
    """The keys as the gateway compares them: it never learns the keys themselves."""
    keys: list[ApiKey] = []
    for key in gateway.keys:
        try:
            value = reveal(store, {key.name: key.secret})[key.name]
        except ModelyardError as error:
            _log.error("gateway %s: key %s: %s", name, key.name, error.message)
            continue
        keys.append(replace(key, digest=hashlib.sha256(value.encode()).hexdigest()))
    return replace(gateway, keys=tuple(keys))
