"""Which app, site or gateway answers at a host name: each has an origin of its own, so that no page of one can act on
another, nor on the console."""

from collections.abc import Mapping

from modelyard.domain import sites
from modelyard.gateway.hosts import name_of
from modelyard.protocol.table import HostEntry, host_key

LOCAL = "localhost"
FOUND_KEPT_MAX = 1024
"""Host headers whose owner is remembered; beyond it they are looked up anew."""


class Origins:
    def __init__(self, apps_domain: str | None = None) -> None:
        """`apps_domain` is what labels stand below, beside localhost."""
        self.parents = tuple(f".{one}" for one in (LOCAL, apps_domain) if one)
        self._by_name: dict[str, HostEntry] = {}
        self._by_label: dict[str, HostEntry] = {}
        self._found: dict[bytes, HostEntry] = {}
        self._entries: Mapping[str, HostEntry] = {}

    def follow(self, entries: Mapping[str, HostEntry]) -> None:
        """Makes them what the table says."""
        self._found.clear()
        self._entries = entries
        self._by_name = {name: one for one in entries.values() for name in one.hosts}
        self._by_label = {one.name.lower(): one for one in entries.values() if one.labelled}

    def site(self, name: str) -> str | None:
        """Where the table of this site is; None where there is none that can be served."""
        entry = self._entries.get(host_key(sites.KIND, name))
        return None if entry is None else entry.site

    def find(self, host: bytes) -> HostEntry | None:
        """Whose a Host header is, with or without a port; None where it is nobody's origin."""
        found = self._found.get(host)
        if found is None:
            name = name_of(host)
            found = None if name is None else self._by_name.get(name) or self._by_label.get(self._label(name) or "")
            if found is not None and len(self._found) < FOUND_KEPT_MAX:
                self._found[host] = found
        return found

    def label_of(self, host: bytes) -> str | None:
        """The label of a name where an app's or a site's could be; None for any other name."""
        name = name_of(host)
        return None if name is None else self._label(name)

    def _label(self, name: str) -> str | None:
        for parent in self.parents:
            label = name.removesuffix(parent)
            if label != name and label and "." not in label:
                return label
        return None
