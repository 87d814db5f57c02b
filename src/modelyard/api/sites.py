"""Sites: what a deployment's document must be."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.errors import invalid_value
from modelyard.domain.access import policy_document, policy_from
from modelyard.domain.sites import CACHE_SECONDS, CACHE_SECONDS_MAX, check_site, site_from
from modelyard.store.ports import JsonObject


class SiteWish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tree: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    index: str = "index.html"
    error: str | None = None
    spa: bool = False
    hosts: list[str] = []
    port: int | None = None
    cors: list[str] = []
    cache_seconds: Annotated[float, Field(ge=0, le=CACHE_SECONDS_MAX)] = CACHE_SECONDS
    access: str | dict[str, Any] | None = None


def check_site_asked(asked: Asked) -> JsonObject:
    """The document as it is kept. Raises InvalidValue, NotFound where the tree is not in the store."""
    try:
        wish = SiteWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    given: dict[str, Any] = wish.model_dump()
    given["access"] = policy_document(policy_from(wish.access)) if wish.access is not None else None
    site = site_from(given)
    paths = frozenset(one.path for one in asked.yard.artifacts.tree(wish.tree))
    site = check_site(site, paths)
    return {**asdict(site), "hosts": list(site.hosts), "cors": list(site.cors)}
