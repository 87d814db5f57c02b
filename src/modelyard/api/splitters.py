"""Traffic splitters: what a deployment's document must be, and what keeps their members."""

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.errors import invalid_value
from modelyard.api.permissions import check_role
from modelyard.api.yard import Yard
from modelyard.domain.access import Role
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.splitters import (
    KIND,
    MEMBERS_MAX,
    SplitMember,
    TrafficSplitter,
    check_members,
    check_splitter,
    splitter_document,
    splitter_from,
)
from modelyard.errors import Conflict, NotFound
from modelyard.store.ports import JsonObject


class Member(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    endpoint: str
    weight: float
    variant: str
    shadow: bool = False
    owned: bool = False


class SplitterWish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    members: list[Member] = Field(min_length=1, max_length=MEMBERS_MAX)


def check_splitter_asked(asked: Asked) -> JsonObject:
    """The document as it is kept. Raises InvalidValue, Forbidden for a member that whoever asks may not call."""
    try:
        wish = SplitterWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    splitter = TrafficSplitter(tuple(SplitMember(**one.model_dump()) for one in wish.members))
    check_splitter(splitter)
    there = set(asked.endpoints)
    for key in splitter.endpoints - asked.endpoints:
        try:
            endpoint = asked.yard.store.endpoints.get(key)
        except NotFound:
            continue
        check_role(Role.CALLER, endpoint.project, f"endpoint/{endpoint.name}", "split to it")
        there.add(key)
    check_members(splitter, there)
    return splitter_document(splitter)


def delete_variants(yard: Yard, splitter: Resource) -> None:
    """Before the splitter itself, so that whoever is cut off here deletes it once more and is done."""
    now = yard.clock.now()
    for key in sorted(splitter_from(splitter.wished.spec).owned):
        try:
            already = yard.store.endpoints.get(key)
        except NotFound:
            continue
        if not already.deleting:
            yard.store.endpoints.delete(already.name, now)
            yard.store.events.add("endpoint", already.name, f"deleting {already.name} (endpoint)", now)


def check_not_split(yard: Yard, endpoint: str) -> None:
    """Raises Conflict where a splitter sends requests to that endpoint, so that none is sent into the void."""
    for one in yard.store.resources.select(KIND):
        if name_key(endpoint) in splitter_from(one.wished.spec).endpoints:
            raise Conflict(
                f"cannot delete endpoint {endpoint}: {one.name} sends requests to it",
                f"`modelyard delete {KIND}/{one.name.name}` first, or deploy it without this member",
            )
