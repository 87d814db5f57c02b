"""Sites: folders of files, served as they are at an origin of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from modelyard.domain.hosts import HOSTS_MAX, check_own_host, check_own_port
from modelyard.errors import InvalidValue

KIND = "site"

FILES_MAX = 50_000
ORIGINS_MAX = 50

CACHE_SECONDS = 0.0
"""Where the file does not say, browsers keep what they got and ask each time whether it is still so."""

CACHE_SECONDS_MAX = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Site:
    tree: str
    """Digest of the folder."""
    index: str = "index.html"
    """What is shown for a folder."""
    error: str | None = None
    """What is shown, with 404, for what is not there."""
    spa: bool = False
    """Whether the index is shown, with 200, for pages that are not there: one page that finds its way by itself."""
    hosts: tuple[str, ...] = ()
    port: int | None = None
    """A port of its own."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may read the files; `*` is every one."""
    cache_seconds: float = CACHE_SECONDS
    """How long browsers need not ask again."""
    access: dict[str, Any] | None = None


def site_from(document: Mapping[str, Any]) -> Site:
    """Tolerant of keys that a later version added."""
    fields: dict[str, Any] = {key: document[key] for key in Site.__dataclass_fields__ if key in document}
    for name in ("hosts", "cors"):
        fields[name] = tuple(document.get(name, ()))
    return Site(**fields)


def check_site(site: Site, paths: frozenset[str]) -> Site:
    """With its hosts as they are compared; `paths` are the folder's files. Raises InvalidValue."""
    if not paths or len(paths) > FILES_MAX:
        raise InvalidValue(f"cannot serve a site of {len(paths)} files", f"1 to {FILES_MAX}")
    for what, name in (("index", site.index), ("error", site.error)):
        if name is not None and (PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not name):
            raise InvalidValue(f"cannot use {name[:80]!r} as {what} document", "name a file of the folder")
    if site.error is not None and site.error not in paths:
        raise InvalidValue(f"cannot find the error document {site.error} in the folder", "name one that is there")
    if site.spa and site.index not in paths:
        raise InvalidValue(f"cannot fall back to {site.index}: it is not in the folder", "name the page with `index`")
    if len(site.hosts) > HOSTS_MAX or len(site.cors) > ORIGINS_MAX:
        raise InvalidValue("cannot serve a site with so many hosts or origins", f"at most {HOSTS_MAX}, {ORIGINS_MAX}")
    for origin in site.cors:
        if origin != "*" and not (origin.startswith(("http://", "https://")) and origin.count("/") == 2):
            raise InvalidValue(f"cannot use {origin[:80]!r} as an origin", "write https://HOST, or *")
    hosts = tuple(dict.fromkeys(check_own_host(one) for one in site.hosts))
    if site.port is not None:
        check_own_port(site.port)
    return replace(site, hosts=hosts)
