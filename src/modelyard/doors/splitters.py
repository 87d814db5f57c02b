"""Names that several endpoints answer under, where a door is asked for one of them."""

from modelyard.domain.splitters import KIND, TrafficSplitter, splitter_from
from modelyard.errors import NotFound
from modelyard.store.ports import Store


def splitter_named(store: Store, name: str) -> TrafficSplitter | None:
    try:
        return splitter_from(store.resources.get(KIND, name).wished.spec)
    except NotFound:
        return None
