"""An endpoint's page: what there is to see of it, and the ways back that it offers."""

from typing import Any

import httpx

from modelyard.domain.endpoints import VersionState
from tests.integration.api.yard_over_http import URL, Api

PAGE = "/console/endpoints/price"


def two_versions(api: Api) -> None:
    for number in (1, 2):
        api.register()
        api.deploy({"name": "price", "model": {"reference": "price"}})
        api.store.endpoints.mark_version("price", number, VersionState.READY, None)


def visit(api: Api, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
    """What a browser sees that came in by a link and then asks for these."""
    link = api.post("/links").json()["url"]

    async def go(client: httpx.AsyncClient) -> Any:
        await client.get(link)
        return [await client.request(method, path, **more) for method, path, more in requests]

    return api.talk(go)


def test_the_page_shows_versions_replicas_and_the_last_lines(api: Api) -> None:
    two_versions(api)
    folder = api.home.engine / "replicas" / "price-2-a"
    folder.mkdir(parents=True)
    (folder / "order.json").write_text('{"endpoint": "price"}')
    (folder / "output.log").write_text("<b>printed</b>\n")
    overview, page = visit(api, ("GET", "/console", {}), ("GET", PAGE, {}))
    assert f'href="{PAGE}"' in overview.text
    assert page.status_code == 200
    assert "Roll back to 1" in page.text
    assert "Replace all replicas" in page.text
    assert "&lt;b&gt;printed&lt;/b&gt;" in page.text


def test_a_button_rolls_back_and_leads_to_the_page_again(api: Api) -> None:
    two_versions(api)
    answer, page = visit(
        api,
        ("POST", f"{PAGE}/rollback", {"data": {"to": "1"}, "headers": {"origin": URL}}),
        ("GET", PAGE, {}),
    )
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert "rollback to 1" in page.text
    assert api.store.endpoints.get("price").wished.number == 3
    visit(api, ("POST", f"{PAGE}/refresh", {"headers": {"origin": URL}}))
    assert api.store.endpoints.get("price").wished.number == 4


def test_only_a_page_of_the_yard_may_press_a_button(api: Api) -> None:
    two_versions(api)
    form = {"data": {"to": "1"}}
    foreign, unsaid = visit(
        api,
        ("POST", f"{PAGE}/rollback", {**form, "headers": {"origin": "http://evil.example"}}),
        ("POST", f"{PAGE}/rollback", form),
    )
    assert (foreign.status_code, unsaid.status_code) == (403, 401)
    assert api.ask("POST", f"{PAGE}/rollback", key=None, headers={"origin": URL}).status_code == 401
    assert api.store.endpoints.get("price").wished.number == 2


def test_what_cannot_be_is_said_on_the_page(api: Api) -> None:
    two_versions(api)
    own = {"headers": {"origin": URL}}
    missing, wrong, gone = visit(
        api,
        ("POST", f"{PAGE}/rollback", {"data": {"to": "9"}, **own}),
        ("POST", f"{PAGE}/rollback", {"data": {"to": "<b>"}, **own}),
        ("GET", "/console/endpoints/prize", {}),
    )
    assert missing.status_code == 409
    assert "there is no version 9" in missing.text
    assert "&lt;b&gt;" in wrong.text
    assert gone.status_code == 404
    assert "did you mean price?" in gone.text
