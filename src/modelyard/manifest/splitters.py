"""`kind: traffic_splitter`: fields as written -> what a deploy wishes."""

from pathlib import Path

from modelyard.domain.names import name_key
from modelyard.domain.splitters import KIND, SplitMember, TrafficSplitter, check_splitter, splitter_document
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schema import SplitterFields


def read_splitter(document: Document, index: int, label: str, folder: Path) -> OtherResource | None:  # noqa: ARG001
    """None where the document got problems."""
    fields = check_fields(document, SplitterFields, index, label)
    if fields is None:
        return None
    members = tuple(
        SplitMember(one.name, float(one.weight or 0), one.variant or name_key(one.name), one.shadow)
        for one in fields.apis
    )
    splitter = TrafficSplitter(members)
    try:
        check_splitter(splitter)
    except InvalidValue as error:
        add_problem(document, index, label, ("apis",), f"{error.message}; {error.hint}")
        return None
    notes = (f"{fields.name}: networking has no effect",) if fields.networking is not None else ()
    return OtherResource(KIND, fields.name, document.line((index,)), splitter_document(splitter), notes=notes)
