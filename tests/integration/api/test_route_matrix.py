"""Every route as every principal: who is let through is what the route declares, and nothing else decides."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from modelyard.api import permissions
from modelyard.api.permissions import NEEDS, OPEN, PRINCIPAL, Need, authorizer
from modelyard.domain.access import OWNER, Grant, Principal, PrincipalKind, Role
from modelyard.domain.tokens import JOB_SCOPES, acting_for
from modelyard.domain.users import ApiKey
from modelyard.errors import Forbidden, NotFound, Unauthorized
from tests.integration.api.test_permissions import routes
from tests.integration.api.yard_over_http import Api

NAMES = {"name": "price", "kind": "endpoint", "alias": "champion", "version": "1"}


def user(*grants: Grant, **more: Any) -> Principal:
    return Principal(PrincipalKind.USER, "ada@a.org", grants, **more)


PRINCIPALS: dict[str, Principal | None] = {
    "nobody": None,
    "nothing": user(),
    "owner": OWNER,
    "owes a password": user(Grant(Role.ADMIN), must_change_password=True),
    **{f"{role.word} of all": user(Grant(role)) for role in Role},
    **{f"{role.word} of shop": user(Grant(role, "shop")) for role in Role},
    **{f"{role.word} of another project": user(Grant(role, "other")) for role in Role},
    **{f"{role.word} of endpoint price": user(Grant(role, resource="endpoint/price")) for role in Role},
}
DONE, FORBIDDEN, HIDDEN, UNKNOWN = 200, 403, 404, 401


def expected(need: Need, who: Principal | None) -> int:
    """What a route's declaration means, said once more in other words."""
    if who is None:
        return UNKNOWN
    if need.role is None:
        return DONE
    grants = () if who.must_change_password else who.grants
    of_all = max((one.role for one in grants if one.project is None and one.resource is None), default=0)
    if need.parameter is None:
        best = max((one.role for one in grants), default=0) if need.anywhere else of_all
        return DONE if best >= need.role else FORBIDDEN
    thing = f"{need.kind or 'endpoint'}/{'price' if need.parameter == 'name' else need.parameter}"
    on_it = [one.role for one in grants if one.project == "shop" or one.resource == thing]
    best = max([of_all, *on_it])
    if best >= need.role:
        return DONE
    return FORBIDDEN if best >= Role.VIEWER else HIDDEN


Place = tuple[str, str]
"""Method, and path below the interface's root."""


def filled(path: str) -> dict[str, str]:
    return {str(name): NAMES.get(str(name), str(name)) for name in re.findall(r"\{(\w+)\}", path)}


async def answer(authorize: Callable[[Request], Awaitable[None]], place: Place, who: Principal | None) -> int:
    method, path = place
    route = SimpleNamespace(path=f"/api/v1{path}")
    request = Request({"type": "http", "method": method, "route": route, "path_params": filled(path), "headers": []})
    token = PRINCIPAL.set(who)
    try:
        await authorize(request)
    except (Unauthorized, Forbidden, NotFound) as refusal:
        return {Unauthorized: UNKNOWN, Forbidden: FORBIDDEN, NotFound: HIDDEN}[type(refusal)]
    finally:
        PRINCIPAL.reset(token)
    return DONE


@pytest.fixture
def places(api: Api, monkeypatch: pytest.MonkeyPatch) -> set[Place]:
    """Every route that there is; every thing is there, and belongs to the project shop."""
    found = routes(api)
    monkeypatch.setattr(permissions, "project_of", lambda *_: "shop")
    return found


def test_every_route_as_every_principal(api: Api, places: set[Place]) -> None:
    authorize = authorizer(api.yard)

    async def ask_all() -> list[str]:
        wrong: list[str] = []
        for place in sorted(places):
            for name, who in PRINCIPALS.items():
                found = await answer(authorize, place, who)
                wanted = DONE if place in OPEN else expected(NEEDS[place], who)
                if found != wanted:
                    wrong.append(f"{' '.join(place)} as {name}: {found}, not {wanted}")
        return wrong

    assert asyncio.run(ask_all()) == []
    assert places == set(NEEDS) | OPEN


def test_what_is_refused_is_refused_by_the_whole_application(api: Api, places: set[Place]) -> None:
    """The same question through the front door, where a refusal shows that nothing came before it."""
    caller = ApiKey("k-1", "k", None, (Grant(Role.CALLER, "other"),), 0.0)
    api.store.keys.put_key(hashlib.sha256(b"callers").hexdigest(), caller)
    who = user(Grant(Role.CALLER, "other"))

    async def ask_all(client: Any) -> list[str]:
        wrong: list[str] = []
        for method, path in sorted(places - OPEN):
            url = "/api/v1" + path.format(**filled(path))
            stranger = (await client.request(method, url, json={})).status_code
            if stranger != UNKNOWN:
                wrong.append(f"{method} {path} as nobody: {stranger}")
            wanted = expected(NEEDS[method, path], who)
            if wanted != DONE:
                found = (await client.request(method, url, json={}, headers={"x-api-key": "callers"})).status_code
                if found != wanted:
                    wrong.append(f"{method} {path} as a caller elsewhere: {found}, not {wanted}")
        return wrong

    assert api.talk(ask_all) == []


def test_a_token_is_let_through_only_to_what_its_scopes_name(api: Api, places: set[Place]) -> None:
    authorize = authorizer(api.yard)

    def opened(who: Principal) -> set[Place]:
        async def ask_all() -> set[Place]:
            return {place for place in places if await answer(authorize, place, who) == DONE}

        return asyncio.run(ask_all())

    anybody = OPEN | {("GET", "/me")}
    assert opened(acting_for(OWNER, "app/dash", "")) == anybody
    app = opened(acting_for(OWNER, "app/dash", "endpoints:call"))
    assert all(path.startswith("/endpoints/{name}/") for _, path in app - anybody)
    job = opened(Principal(PrincipalKind.TOKEN, "run r-1", (Grant(Role.ADMIN),), scopes=JOB_SCOPES))
    assert {place for place in job - app if place[0] != "GET"} == {
        ("POST", "/artifacts/missing"),
        ("PUT", "/artifacts/{sha256}"),
        ("POST", "/trees"),
        ("POST", "/models/{name}/versions"),
        ("POST", "/models/{name}/versions/{version}/tags"),
    }
