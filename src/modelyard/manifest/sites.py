"""`kind: site`: fields as written -> what a deploy wishes."""

from pathlib import Path
from typing import Any

from modelyard.domain.sites import KIND
from modelyard.manifest.checks import check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.places import check_place
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schema import SiteFields


def read_site(document: Document, index: int, label: str, folder: Path) -> OtherResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, SiteFields, index, label)
    if fields is None:
        return None
    check_place(document, index, label, ("path",), folder, fields.path, inside=True, want="folder")
    if len(document.problems) > before:
        return None
    spec: dict[str, Any] = {"index": fields.index, "spa": fields.spa, "hosts": fields.hosts, "cors": fields.cors}
    spec |= {} if fields.error is None else {"error": fields.error}
    spec |= {} if fields.cache is None else {"cache_seconds": fields.cache}
    spec |= {} if fields.port is None else {"port": fields.port}
    spec |= {} if fields.access is None else {"access": fields.access}
    return OtherResource(KIND, fields.name, document.line((index,)), spec, trees={"tree": folder / fields.path})
