"""Groups: people who are granted the same. For admins."""

from fastapi import APIRouter

from modelyard.api.audit import about
from modelyard.api.permissions import guarded
from modelyard.api.users import DeletedView, Grants, Strict
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.users import Group, grant_document
from modelyard.protocol.views_of_access import GrantView, GroupsView, GroupView


class GroupWish(Strict):
    grants: Grants | None = None
    """None leaves them as they are."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "groups")

    @router.get("/groups")
    def list_groups() -> GroupsView:
        return GroupsView([_view(one) for one in yard.store.users.groups()])

    @router.put("/groups/{group}")
    def put_group(group: str, wish: GroupWish) -> GroupView:
        """Makes it where it is not there."""
        grants = None if wish.grants is None else tuple(one.grant() for one in wish.grants)
        about(*map(str, grants or ()))
        changed = yard.store.users.put_group(group, yard.clock.now(), grants)
        yard.poke()
        return _view(changed)

    @router.delete("/groups/{group}")
    def remove_group(group: str) -> DeletedView:
        yard.store.users.remove_group(group)
        yard.poke()
        return DeletedView(group)

    @router.put("/groups/{group}/members/{email}")
    def add_member(group: str, email: str) -> GroupView:
        return _put_member(yard, group, email, member=True)

    @router.delete("/groups/{group}/members/{email}")
    def remove_member(group: str, email: str) -> GroupView:
        return _put_member(yard, group, email, member=False)

    return router


def _put_member(yard: Yard, group: str, email: str, *, member: bool) -> GroupView:
    changed = yard.store.users.put_member(group, email, member=member)
    yard.poke()
    return _view(changed)


def _view(group: Group) -> GroupView:
    grants = [GrantView(**grant_document(one)) for one in group.grants]
    return GroupView(group.name, iso(group.created_at), grants, list(group.members))
