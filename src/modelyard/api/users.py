"""People and what they are granted. For admins."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.audit import about
from modelyard.api.passwords import hash_password, temporary_password
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import EMAIL_LENGTH_MAX, Grant, check_email, check_grant
from modelyard.domain.users import GRANTS_MAX, NAME_LENGTH_MAX, User, grant_document
from modelyard.protocol.views_of_access import GrantView, UsersView, UserView


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class GrantWish(Strict):
    role: str
    project: str | None = None
    resource: str | None = None
    """`KIND/NAME`."""

    def grant(self) -> Grant:
        return check_grant(self.role, self.project, self.resource)


Grants = Annotated[list[GrantWish], Field(max_length=GRANTS_MAX)]


class NewUser(Strict):
    email: Annotated[str, Field(max_length=EMAIL_LENGTH_MAX)]
    name: Annotated[str, Field(max_length=NAME_LENGTH_MAX)] = ""
    grants: Grants = []
    with_password: bool = True
    """False for somebody whom only another site vouches for."""


class UserChange(Strict):
    name: Annotated[str | None, Field(max_length=NAME_LENGTH_MAX)] = None
    disabled: bool | None = None
    grants: Grants | None = None


@dataclass(frozen=True, slots=True)
class DeletedView:
    deleted: str


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "users")
    users = yard.store.users

    @router.get("/users")
    def list_users() -> UsersView:
        now = yard.clock.now()
        return UsersView([_view(one, now) for one in users.select()])

    @router.post("/users", status_code=201)
    def add_user(wish: NewUser) -> UserView:
        """With a temporary password, which the answer has and nothing else ever will."""
        email = check_email(wish.email)
        password = temporary_password() if wish.with_password else None
        user = User(
            email=email,
            name=wish.name or email.partition("@")[0],
            created_at=yard.clock.now(),
            grants=tuple(one.grant() for one in wish.grants),
            must_change_password=wish.with_password,
        )
        about(email, *map(str, user.grants))
        users.add(user, hash_password(password) if password is not None else None)
        yard.poke()
        return _view(users.get(email), yard.clock.now(), password)

    @router.get("/users/{email}")
    def get_user(email: str) -> UserView:
        return _view(users.get(email), yard.clock.now())

    @router.patch("/users/{email}")
    def change_user(email: str, wish: UserChange) -> UserView:
        """What is given is changed. Disabling ends every session and silences every key of theirs."""
        grants = None if wish.grants is None else tuple(one.grant() for one in wish.grants)

        def change(user: User) -> User:
            return replace(
                user,
                name=user.name if wish.name is None else wish.name,
                disabled=user.disabled if wish.disabled is None else wish.disabled,
                grants=user.grants if grants is None else grants,
            )

        about(*_said(wish, grants))
        changed = users.change(email, change)
        yard.poke()
        return _view(changed, yard.clock.now())

    @router.delete("/users/{email}")
    def remove_user(email: str) -> DeletedView:
        users.remove(email)
        yard.poke()
        return DeletedView(email.lower())

    @router.post("/users/{email}/password", status_code=201)
    def reset_password(email: str) -> UserView:
        """A new temporary password, in the answer alone. Ends every session of theirs, and a lock."""
        password = temporary_password()
        changed = users.change(
            email,
            lambda user: replace(user, must_change_password=True, failures=0, locked_until=0.0),
            hash_password(password),
        )
        yard.poke()
        return _view(changed, yard.clock.now(), password)

    return router


def _view(user: User, now: float, password: str | None = None) -> UserView:
    return UserView(
        email=user.email,
        name=user.name,
        created_at=iso(user.created_at),
        grants=[GrantView(**grant_document(one)) for one in user.grants],
        groups=list(user.groups),
        disabled=user.disabled,
        must_change_password=user.must_change_password,
        has_password=user.has_password,
        issuer=user.issuer,
        last_login_at=iso(user.last_login_at) if user.last_login_at is not None else None,
        locked_until=iso(user.locked_until) if user.locked_until > now else None,
        temporary_password=password,
    )


def _said(wish: UserChange, grants: tuple[Grant, ...] | None) -> list[str]:
    """What a change is, for the audit log."""
    said = [] if wish.disabled is None else ["disabled" if wish.disabled else "enabled"]
    return said if grants is None else [*said, *(map(str, grants) if grants else ("no role",))]
