"""What a gateway must know of a version of a site: a JSON file that names every path's content, made once."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SITE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SiteFile:
    sha256: str
    size_bytes: int
    media_type: str
    gzip_bytes: int | None = None
    """Size of the form that gzip compressed; None where there is none."""
    brotli_bytes: int | None = None
    """Likewise of Brotli's, which is smaller still."""


@dataclass(frozen=True, slots=True)
class SiteManifest:
    folder: str
    """Where the contents lie: `SHA256`, and `SHA256.gz` and `SHA256.br` compressed."""
    index: str
    error: str | None
    spa: bool
    cors: tuple[str, ...]
    cache_seconds: float
    files: dict[str, SiteFile] = field(default_factory=dict[str, SiteFile])
    """By path, without the slash that it begins with."""


def manifest_document(manifest: SiteManifest) -> dict[str, Any]:
    return {"format": SITE_FORMAT, **asdict(manifest)}


def read_manifest(path: Path) -> SiteManifest:
    """Raises OSError, ValueError, KeyError, TypeError."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    fields = {key: found[key] for key in SiteManifest.__dataclass_fields__}
    fields["cors"] = tuple(found["cors"])
    fields["files"] = {name: SiteFile(**one) for name, one in found["files"].items()}
    return SiteManifest(**fields)
