"""`variants` of an endpoint: written once, unfolded into an endpoint for each and the splitter that has their name.

What is unfolded stands in the document as if it had been written out, with the lines of where it was written, so that a
variant is read, checked and refused as every other endpoint is.
"""

from typing import Any, cast

from modelyard.domain.names import name_key
from modelyard.domain.splitters import (
    KIND,
    SplitMember,
    TrafficSplitter,
    check_splitter,
    endpoint_of_variant,
    shares_of,
    splitter_document,
)
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schema import VariedFields
from modelyard.protocol.routes import RESERVED_NAMES

FIELD = "variants"

_OWN = frozenset({"name", "weight", "shadow"})
"""Fields of a variant that are not its endpoint's."""


def unfold_variants(document: Document) -> dict[int, OtherResource | None]:
    """Adds an endpoint to the document for each variant of any endpoint. By index of the resources that were unfolded:
    the splitter in their place, None where the document got problems."""
    items: list[Any] = document.value
    return {index: _unfold(document, index) for index in range(len(items)) if _has_variants(items[index])}


def _has_variants(item: Any) -> bool:
    return isinstance(item, dict) and cast("dict[str, Any]", item).get(FIELD) is not None


def _unfold(document: Document, index: int) -> OtherResource | None:
    item = cast("dict[str, Any]", document.value[index])
    label = item["name"] if isinstance(item.get("name"), str) else f"[{index}]"
    fields = check_fields(document, VariedFields, index, label)
    if fields is None:
        return None
    if name_key(fields.name) in RESERVED_NAMES:
        sentence = f"found {fields.name}; allowed: any name but those of the yard's own addresses (it answers at /NAME)"
        add_problem(document, index, label, ("name",), sentence)
        return None
    try:
        splitter = _splitter(fields)
        check_splitter(splitter)
    except InvalidValue as error:
        add_problem(document, index, label, (FIELD,), f"{error.message}; {error.hint}")
        return None
    for place, member in enumerate(splitter.members):
        _add(document, index, place, member.endpoint)
    return OtherResource(KIND, fields.name, document.line((index,)), splitter_document(splitter))


def _splitter(fields: VariedFields) -> TrafficSplitter:
    answering = [one for one in fields.variants if not one.shadow]
    shares = dict(zip([one.name for one in answering], shares_of([one.weight for one in answering]), strict=True))
    return TrafficSplitter(
        tuple(
            SplitMember(
                endpoint_of_variant(fields.name, one.name), shares.get(one.name, 0.0), one.name, one.shadow, owned=True
            )
            for one in fields.variants
        )
    )


def _add(document: Document, index: int, place: int, name: str) -> None:
    """The endpoint of one variant: what the endpoint says, and over it what the variant says, section by section."""
    item = cast("dict[str, Any]", document.value[index])
    own = {key: value for key, value in item[FIELD][place].items() if key not in _OWN}
    merged: dict[str, Any] = {key: value for key, value in item.items() if key != FIELD}
    for key, value in own.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = {**cast("dict[str, Any]", below), **value} if both else value
    at = len(document.value)
    document.value.append({**merged, "name": name})
    for begin in ((index,), (index, FIELD, place)):
        below = [one for one in document.lines.items() if one[0][: len(begin)] == begin]
        document.lines.update({(at, *path[len(begin) :]): line for path, line in below})
