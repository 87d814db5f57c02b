"""What answers at an origin of its own, as gateways must know it."""

from collections.abc import Iterable, Mapping

from modelyard.protocol.table import APP, EndpointEntry, HostEntry, host_key


class Hosts:
    """Kept up with the table's entries, so that a pass looks at those alone that changed."""

    def __init__(self, entries: Mapping[str, EndpointEntry]) -> None:
        """`entries` are those that the table has already."""
        self._apps: dict[str, HostEntry] = {}
        self.follow(entries, ())

    def follow(self, put: Mapping[str, EndpointEntry], drop: Iterable[str]) -> None:
        for key in drop:
            self._apps.pop(host_key(APP, key), None)
        for key, entry in put.items():
            place = host_key(APP, key)
            if entry.kind == APP:
                self._apps[place] = _of_app(key, entry)
            else:
                self._apps.pop(place, None)

    def entries(self, others: Mapping[str, HostEntry]) -> dict[str, HostEntry]:
        """Apps, and `others`, by `host_key`."""
        return {**self._apps, **others}


def _of_app(key: str, entry: EndpointEntry) -> HostEntry:
    return HostEntry(APP, entry.name, entry.project, entry.hosts, access=entry.access, endpoint=key, port=entry.port)
