"""Where the yard is, and the key to it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modelyard_worker.records import read_json

from modelyard.domain.hosts import is_loopback
from modelyard.errors import InvalidValue, YardDown
from modelyard.settings import Home, home_from

UP = "start it with `modelyard up`"


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    """Scheme, host and port; no slash at the end."""
    key: str | None = field(default=None, repr=False)
    """None where there is none to be found; then only open routes answer."""


def find_address(environment: Mapping[str, str] | None = None, home: Home | None = None) -> Address:
    """The yard that `MODELYARD_URL` and `MODELYARD_API_KEY` name, else the one that runs in the home.

    A key in the environment counts for any yard; the home's key is sent to the home's yard alone, so that a URL from
    elsewhere never gets it. Raises YardDown where neither is there.
    """
    environment = os.environ if environment is None else environment
    home = home or home_from(environment)
    given_key = environment.get("MODELYARD_API_KEY") or None
    own = home_url(home)
    given_url = environment.get("MODELYARD_URL")
    if given_url:
        url = check_url(given_url)
        return Address(url, given_key or (read_key(home) if url == own else None))
    if own is None:
        raise YardDown(f"cannot find a yard: none has run in {home.root}", UP)
    return Address(own, given_key or read_key(home))


def home_url(home: Home) -> str | None:
    """What the home's `yard.json` says, whether or not that yard still runs."""
    found = read_json(str(home.yard))
    url = found.get("url") if found else None
    return str(url).rstrip("/") if url else None


def read_key(home: Home) -> str | None:
    try:
        return home.key.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def check_url(url: str) -> str:
    """Raises InvalidValue where `url` is not that of a server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InvalidValue(f"cannot use {url!r} as a yard's address", "write http://HOST:PORT")
    return url.rstrip("/")


def is_here(url: str) -> bool:
    """Whether a yard's URL is of this machine, so that paths mean the same there."""
    return is_loopback(urlsplit(url).hostname or "")
