"""API gateways in this process: what each is configured to do, and what it remembers of those who ask.

The configuration comes with the table. What is remembered - how much of a usage plan is left, answers that are given
again - is this process's own; it outlives a new version of the configuration, not the process.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelyard.domain.access import Policy, policy_from
from modelyard.domain.gateways import KIND, ApiKey, Gateway, Met, Routes, gateway_from
from modelyard.domain.names import name_key
from modelyard.domain.usage import Plan, Usage, ask, begin
from modelyard.errors import Forbidden, InvalidValue, TooManyRequests
from modelyard.gateway.access_log import AccessLog
from modelyard.protocol.body_schemas import Validator, compile_schema
from modelyard.protocol.table import HostEntry

CACHE_BYTES_MAX = 64 * 2**20
"""Answers that one gateway keeps to give again; beyond it those asked for longest ago go."""
CACHED_BYTES_MAX = 1024 * 1024
"""Of one answer; a longer one is not kept."""

API_KEY = b"x-api-key"


class Cached(NamedTuple):
    status: int
    head: bytes
    """Header lines."""
    body: bytes
    until: float


class Cache:
    """Answers by what was asked. Times are wall clock."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, ...], Cached] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, ...], now: float) -> Cached | None:
        found = self._held.get(key)
        if found is None:
            return None
        if found.until <= now:
            self._drop(key)
            return None
        self._held.move_to_end(key)
        return found

    def put(self, key: tuple[str, ...], answer: Cached) -> None:
        size = len(answer.head) + len(answer.body)
        if size > CACHED_BYTES_MAX:
            return
        if key in self._held:
            self._drop(key)
        self._held[key] = answer
        self._bytes += size
        while self._bytes > CACHE_BYTES_MAX:
            self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[str, ...]) -> None:
        gone = self._held.pop(key)
        self._bytes -= len(gone.head) + len(gone.body)


class Api:
    """One API gateway."""

    def __init__(self, entry: HostEntry, document: Mapping[str, Any], by_default: Policy, logs: Path) -> None:
        self.name = entry.name
        self.project = entry.project
        self.document = document
        self.config: Gateway = gateway_from(document)
        self.policy = policy_from(self.config.access) if self.config.access is not None else by_default
        self.cache = Cache()
        self.log = AccessLog(logs / f"{name_key(entry.name)}.jsonl") if self.config.access_log else None
        self._routes = Routes(self.config.routes)
        self._keys = {bytes.fromhex(one.digest): one for one in self.config.keys if one.digest}
        self.usages: dict[str, Usage] = {}
        """What is left of plans, by the key's name; of the whole gateway's bound under no name."""
        self._validators: dict[str, Validator] = {}

    @property
    def reference(self) -> str:
        return f"{KIND}/{self.name}"

    def inherit(self, before: "Api") -> None:
        """What was used up stays used up when the configuration changes."""
        self.usages = {name: one for name, one in before.usages.items() if self._plan(name) is not None}

    def find(self, method: str, path: str) -> Met | None:
        return self._routes.find(method, path)

    # -- who asks, and how often -------------------------------------------------------------------------------------

    def check_key(self, fields: dict[bytes, bytes]) -> ApiKey:
        """The key that is shown. Raises Forbidden."""
        given = fields.get(API_KEY)
        # Digests are compared, so that the time it takes says nothing of the key.
        found = self._keys.get(hashlib.sha256(given).digest()) if given else None
        if found is None:
            raise Forbidden("Forbidden", "send the key as x-api-key")
        return found

    def spend(self, key: ApiKey | None, now: float) -> None:
        """Counts a request against the whole gateway's bound, or the plan of its key. Raises TooManyRequests."""
        name = "" if key is None else key.name
        plan = self._plan(name)
        if plan is None:
            return
        verdict = ask(plan, self.usages.get(name) or begin(plan, now), now)
        self.usages[name] = verdict.usage
        if not verdict.allowed:
            raise TooManyRequests(verdict.reason, f"try again after {verdict.retry_after_seconds:.1f} s")

    def _plan(self, name: str) -> Plan | None:
        if not name:
            return self.config.throttle
        key = next((one for one in self.config.keys if one.name == name), None)
        return self.config.plans.get(key.plan) if key is not None and key.plan is not None else None

    # -- what is asked -----------------------------------------------------------------------------------------------

    def check_body(self, met: Met, body: bytes) -> None:
        """Raises InvalidValue where the route's schema refuses the body."""
        schema = met.route.body
        if schema is None:
            return
        validator = self._validators.get(met.route.key)
        if validator is None:
            validator = self._validators[met.route.key] = compile_schema(schema)
        try:
            value: Any = json.loads(body)
        except ValueError as error:
            raise InvalidValue("Invalid request body", "it is no JSON") from error
        said = validator.refusal(value)
        if said is not None:
            raise InvalidValue("Invalid request body", said)

    def close(self) -> None:
        if self.log is not None:
            self.log.flush()


class Apis:
    """All API gateways of this process, by `name_key`."""

    def __init__(self, by_default: Policy, logs: Path) -> None:
        self._by_default = by_default
        self._logs = logs
        self._apis: dict[str, Api] = {}

    def follow(self, hosts: Mapping[str, HostEntry]) -> None:
        """Makes them what the table says."""
        there: dict[str, Api] = {}
        for entry in hosts.values():
            if entry.kind == KIND and entry.gateway is not None:
                there[name_key(entry.name)] = self._made(entry, entry.gateway)
        for key, gone in self._apis.items():
            if there.get(key) is not gone:
                gone.close()
        self._apis = there

    def _made(self, entry: HostEntry, document: Mapping[str, Any]) -> Api:
        before = self._apis.get(name_key(entry.name))
        if before is not None and before.document == document and before.project == entry.project:
            return before
        made = Api(entry, document, self._by_default, self._logs)
        if before is not None:
            made.inherit(before)
        return made

    def find(self, name: str) -> Api | None:
        return self._apis.get(name_key(name))

    def flush(self) -> None:
        """Writes what access logs hold."""
        for one in self._apis.values():
            if one.log is not None:
                one.log.flush()
