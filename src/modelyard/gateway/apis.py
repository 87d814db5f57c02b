"""API gateways in this process: what each is configured to do, and what it remembers of those who ask.

The configuration comes with the table. What is left of usage plans is shared by all gateway processes (`usages.py`);
answers that are given again are this process's own.
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
from modelyard.errors import Forbidden, InvalidValue, TooManyRequests
from modelyard.gateway.access_log import AccessLog
from modelyard.gateway.usages import Usages
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

    def __init__(
        self, entry: HostEntry, document: Mapping[str, Any], by_default: Policy, logs: Path, usages: Path
    ) -> None:
        self.name = entry.name
        self.project = entry.project
        self.document = document
        self.config: Gateway = gateway_from(document)
        self.policy = policy_from(self.config.access) if self.config.access is not None else by_default
        self.cache = Cache()
        self.log = AccessLog(logs / f"{name_key(entry.name)}.jsonl") if self.config.access_log else None
        self._routes = Routes(self.config.routes)
        self._keys = {bytes.fromhex(one.digest): one for one in self.config.keys if one.digest}
        self._plans = {one.name: self.config.plans.get(one.plan) for one in self.config.keys if one.plan is not None}
        self._plans[""] = self.config.throttle
        """By the key's name; the whole gateway's bound has no name."""
        self._usages = Usages(usages / name_key(entry.name)) if any(self._plans.values()) else None
        self._validators: dict[str, Validator] = {}

    @property
    def reference(self) -> str:
        return f"{KIND}/{self.name}"

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
        plan = self._plans.get(name)
        if plan is None or self._usages is None:
            return
        verdict = self._usages.spend(name, plan, now)
        if not verdict.allowed:
            raise TooManyRequests(verdict.reason, f"try again after {verdict.retry_after_seconds:.1f} s")

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
        except RecursionError as error:
            raise InvalidValue("Invalid request body", "it is nested too deep") from error
        said = validator.refusal(value)
        if said is not None:
            raise InvalidValue("Invalid request body", said)

    def close(self, *, for_good: bool = False) -> None:
        """`for_good` where the API gateway was deleted: one that comes with its name begins with full plans."""
        if self.log is not None:
            self.log.flush()
        if self._usages is not None and for_good:
            self._usages.forget()
        elif self._usages is not None:
            self._usages.close()


class Apis:
    """All API gateways of this process, by `name_key`."""

    def __init__(self, by_default: Policy, logs: Path, usages: Path) -> None:
        self._by_default = by_default
        self._logs = logs
        self._usages = usages
        self._apis: dict[str, Api] = {}

    def follow(self, hosts: Mapping[str, HostEntry]) -> None:
        """Makes them what the table says."""
        there: dict[str, Api] = {}
        for entry in hosts.values():
            if entry.kind == KIND and entry.gateway is not None:
                there[name_key(entry.name)] = self._made(entry, entry.gateway)
        for key, gone in self._apis.items():
            if there.get(key) is not gone:
                gone.close(for_good=key not in there)
        self._apis = there

    def _made(self, entry: HostEntry, document: Mapping[str, Any]) -> Api:
        before = self._apis.get(name_key(entry.name))
        if before is not None and before.document == document and before.project == entry.project:
            return before
        return Api(entry, document, self._by_default, self._logs, self._usages)

    def find(self, name: str) -> Api | None:
        return self._apis.get(name_key(name))

    def flush(self) -> None:
        """Writes what access logs hold."""
        for one in self._apis.values():
            if one.log is not None:
                one.log.flush()
