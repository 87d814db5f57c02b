"""People, groups, keys, sessions, the audit log."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, remark, say, say_json, say_table, say_told
from modelyard.cli.session import open_client
from modelyard.cli.times import age
from modelyard.domain.quantities import duration_seconds
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.protocol.views_of_access import GrantView, UserView

users = typer.Typer(name="users", help="People: who they are and what they may do.", no_args_is_help=True)
groups = typer.Typer(name="groups", help="People who may do the same.", no_args_is_help=True)
keys = typer.Typer(name="keys", help="Keys of programs.", no_args_is_help=True)
sessions = typer.Typer(name="sessions", help="Browsers that are signed in.", no_args_is_help=True)

AUDIT_PAGE_MAX = 10_000


class ExportForm(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


Email = Annotated[str, typer.Argument(help="E-mail address.")]
Group = Annotated[str, typer.Argument(help="Name of the group.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="ROLE, ROLE:PROJECT or ROLE:KIND/NAME; admin, deployer, viewer or caller. Repeatable."),
]


@users.command(name="list")
def list_users(output: Output = Format.PRETTY) -> None:
    """List people with what they were granted."""
    with open_client() as client:
        found = client.access.users()
    if output is Format.JSON:
        say_json({"users": found})
    elif not found:
        say("no users yet; `modelyard users add EMAIL --role viewer` adds one")
    else:
        rows = [(one.email, _state(one), grants_text(one.grants), ", ".join(one.groups), _seen(one)) for one in found]
        say_table(("user", "state", "grants", "groups", "last login"), rows)


@users.command(name="add")
def add_user(
    email: Email,
    role: Roles = None,
    name: Annotated[str, typer.Option(help="What they are called; by default the address's first part.")] = "",
    output: Output = Format.PRETTY,
) -> None:
    """Add somebody, with a temporary password that is shown once and must be changed at the first login."""
    with open_client() as client:
        view = client.access.add_user(email, name=name, grants=read_roles(role))
    _tell_password(view, f"added {view.email}", output)


@users.command(name="reset")
def reset_password(email: Email, output: Output = Format.PRETTY) -> None:
    """Give somebody a new temporary password; they are signed out everywhere."""
    with open_client() as client:
        view = client.access.reset_password(email)
    _tell_password(view, f"reset the password of {view.email}", output)


@users.command(name="grant")
def grant(email: Email, role: Roles = None, output: Output = Format.PRETTY) -> None:
    """Give somebody roles beside those they have."""
    wanted = read_roles(role)
    with open_client() as client:
        has = [asdict(one) for one in client.access.user(email).grants]
        view = client.access.change_user(email, grants=[*has, *(one for one in wanted if one not in has)])
    _tell(view, f"{view.email} is {grants_text(view.grants)}", output)


@users.command(name="revoke")
def revoke(email: Email, role: Roles = None, output: Output = Format.PRETTY) -> None:
    """Take roles away from somebody."""
    gone = read_roles(role)
    with open_client() as client:
        has = [asdict(one) for one in client.access.user(email).grants]
        missing = [word for word, one in zip(role or (), gone, strict=True) if one not in has]
        if missing:
            raise InvalidValue(f"cannot take {missing[0]} from {email}: they do not have it", "`modelyard users list`")
        view = client.access.change_user(email, grants=[one for one in has if one not in gone])
    _tell(view, f"{view.email} is {grants_text(view.grants) or 'nothing any more'}", output)


@users.command(name="disable")
def disable(email: Email, output: Output = Format.PRETTY) -> None:
    """Shut somebody out: sessions end, keys fall silent."""
    with open_client() as client:
        view = client.access.change_user(email, disabled=True)
    _tell(view, f"disabled {view.email}", output)


@users.command(name="enable")
def enable(email: Email, output: Output = Format.PRETTY) -> None:
    """Let somebody in again who was disabled."""
    with open_client() as client:
        view = client.access.change_user(email, disabled=False)
    _tell(view, f"enabled {view.email}", output)


@users.command(name="remove")
def remove_user(email: Email, output: Output = Format.PRETTY) -> None:
    """Forget somebody, with their keys and sessions."""
    with open_client() as client:
        client.access.remove_user(email)
    _tell({"email": email}, f"removed {email}", output)


@groups.command(name="list")
def list_groups(output: Output = Format.PRETTY) -> None:
    """List groups, their members, and what they were granted."""
    with open_client() as client:
        found = client.access.groups()
    if output is Format.JSON:
        say_json({"groups": found})
    elif not found:
        say("no groups yet; `modelyard groups put NAME` makes one")
    else:
        rows = [(one.name, grants_text(one.grants), ", ".join(one.members)) for one in found]
        say_table(("group", "grants", "members"), rows)


@groups.command(name="put")
def put_group(group: Group, role: Roles = None, output: Output = Format.PRETTY) -> None:
    """Make a group; with roles, it has these and no others."""
    with open_client() as client:
        view = client.access.put_group(group, read_roles(role) if role is not None else None)
    _tell(view, f"group {view.name} is {grants_text(view.grants) or 'granted nothing'}", output)


@groups.command(name="add")
def add_member(group: Group, email: Email, output: Output = Format.PRETTY) -> None:
    """Take somebody into a group."""
    with open_client() as client:
        view = client.access.put_member(group, email, member=True)
    _tell(view, f"{email} is in {view.name}", output)


@groups.command(name="drop")
def drop_member(group: Group, email: Email, output: Output = Format.PRETTY) -> None:
    """Take somebody out of a group."""
    with open_client() as client:
        view = client.access.put_member(group, email, member=False)
    _tell(view, f"{email} is not in {view.name} any more", output)


@groups.command(name="remove")
def remove_group(group: Group, output: Output = Format.PRETTY) -> None:
    """Forget a group; its members stay."""
    with open_client() as client:
        client.access.remove_group(group)
    _tell({"name": group}, f"removed group {group}", output)


@keys.command(name="list")
def list_keys(output: Output = Format.PRETTY) -> None:
    """List keys: what they open, when they were last used. The keys themselves are never shown again."""
    with open_client() as client:
        found = client.access.keys()
    if output is Format.JSON:
        say_json({"keys": found})
    elif not found:
        say("no keys yet; `modelyard keys add NAME --role caller:endpoint/NAME` makes one")
    else:
        rows = [
            (
                one.id,
                one.name,
                one.owner or "owner",
                grants_text(one.grants),
                one.expires_at,
                age(one.last_used_at) if one.last_used_at else None,
            )
            for one in found
        ]
        say_table(("key", "name", "whose", "grants", "expires", "last used"), rows)


@keys.command(name="add")
def add_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Roles = None,
    expires_in: Annotated[str | None, typer.Option(help="For how long it is good: 30d, 12h.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Make a key for a program. It is shown once."""
    wanted = read_roles(role)
    if not wanted:
        raise InvalidValue(f"cannot make key {name} that may do nothing", "say --role caller:endpoint/NAME or so")
    with open_client() as client:
        view = client.access.make_key(name, wanted, duration_seconds(expires_in) if expires_in else None)
    if output is Format.JSON:
        say_json(view)
        return
    remark(f"key {view.id} ({view.name}) is {grants_text(view.grants)}; it is shown this once:")
    say(str(view.key))


@keys.command(name="delete")
def delete_key(
    key: Annotated[str, typer.Argument(help="Its id, as `keys list` shows it.")], output: Output = Format.PRETTY
) -> None:
    """Delete a key; it opens nothing any more."""
    with open_client() as client:
        view = client.access.delete_key(key)
    _tell(view, f"deleted key {view.id} ({view.name})", output)


@sessions.command(name="list")
def list_sessions(output: Output = Format.PRETTY) -> None:
    """List browsers that are signed in."""
    with open_client() as client:
        found = client.access.sessions()
    if output is Format.JSON:
        say_json({"sessions": found})
    elif not found:
        say("nobody is signed in")
    else:
        rows = [
            (one.id, one.user or "owner", age(one.created_at), one.expires_at, one.address, one.agent) for one in found
        ]
        say_table(("session", "user", "since", "until", "address", "browser"), rows)


@sessions.command(name="end")
def end_session(
    session: Annotated[str, typer.Argument(help="Its id, as `sessions list` shows it.")],
    output: Output = Format.PRETTY,
) -> None:
    """Sign a browser out."""
    with open_client() as client:
        view = client.access.end_session(session)
    _tell(view, f"ended session {view.id} of {view.user or 'the owner'}", output)


def audit(
    text: Annotated[str | None, typer.Argument(help="Only entries that have this in any field.")] = None,
    since: Annotated[str | None, typer.Option(help="How long ago (2h), or a time (2026-01-31T12:00:00Z).")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=AUDIT_PAGE_MAX, help="How many.")] = 100,
    export: Annotated[ExportForm | None, typer.Option(help="Print all of them so, for another program.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Show who changed what and who was refused, newest first."""
    with open_client() as client:
        if export is not None:
            for line in client.access.export_audit(export.value, text, since=since):
                say(line)
            return
        found = client.access.audit(text, since=since, limit=limit)
    if output is Format.JSON:
        say_json({"entries": found})
    else:
        rows = [(one.at, one.principal, one.action, one.outcome, one.address) for one in found]
        say_table(("when", "who", "what", "outcome", "address"), rows)


def read_roles(words: Sequence[str] | None) -> list[dict[str, str | None]]:
    from modelyard.sdk.access import read_grant  # noqa: PLC0415 (help needs no sdk)

    return [read_grant(word) for word in words or ()]


def grants_text(grants: "Sequence[GrantView]") -> str:
    return ", ".join(_one_grant(one) for one in grants)


def _one_grant(grant: "GrantView") -> str:
    where = grant.resource or grant.project
    return f"{grant.role}:{where}" if where else grant.role


def _state(user: "UserView") -> str:
    if user.disabled:
        return "disabled"
    if user.locked_until:
        return f"locked until {user.locked_until}"
    return "temporary password" if user.must_change_password else "active"


def _seen(user: "UserView") -> str | None:
    return age(user.last_login_at) if user.last_login_at else None


def _tell(view: Any, sentence: str, output: Format) -> None:
    """`view` is one of the interface's, or what stands for one that is gone."""
    say_told(view, sentence) if output is Format.JSON else say(sentence)


def _tell_password(view: "UserView", sentence: str, output: Format) -> None:
    if output is Format.JSON:
        say_told(view, sentence)
        return
    remark(f"{sentence}; the temporary password is shown this once and must be changed at the first login:")
    say(str(view.temporary_password))


def add_to(app: typer.Typer) -> None:
    for one in (users, groups, keys, sessions):
        app.add_typer(one)
    app.command()(audit)
