"""The console: in by a link that works once, and then what runs and what is wrong."""

import asyncio
import re
from typing import Any

import httpx

from modelyard.domain.endpoints import EndpointState, EndpointStatus
from tests.integration.api.yard_over_http import Api


def browse(api: Api, *paths: str) -> list[httpx.Response]:
    """What a browser sees that came in by a link and then goes to `paths`."""
    link = api.post("/links").json()["url"]

    async def go(client: httpx.AsyncClient) -> Any:
        return [await client.get(path) for path in (link, *paths)]

    return api.talk(go)


def test_without_a_session_the_page_says_how_to_come_in(api: Api) -> None:
    answer = api.ask("GET", "/console", key=None)
    assert answer.status_code == 401
    assert "modelyard open" in answer.text


def test_a_link_sets_a_cookie_that_no_script_and_no_other_site_can_use(api: Api) -> None:
    entered, page = browse(api, "/console")
    assert (entered.status_code, entered.headers["location"]) == (303, "/console")
    cookie = entered.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/", "max-age=43200"):
        assert part in cookie
    assert page.status_code == 200
    assert "Nothing is wrong" in page.text


def test_a_link_that_was_used_opens_nothing(api: Api) -> None:
    link = api.post("/links").json()["url"]
    assert api.ask("GET", link, key=None).status_code == 303
    again = api.ask("GET", link, key=None)
    assert again.status_code == 401
    assert "used already" in again.text
    assert "set-cookie" not in again.headers


def test_what_is_wrong_stands_first_and_nothing_is_taken_for_markup(api: Api) -> None:
    api.register()
    api.deploy({"name": "price", "model": {"reference": "price"}})
    api.clock.advance(1)
    broken = EndpointStatus(EndpointState.ERROR, "cannot start: <b>boom</b>", None, 0, 1, 0, api.clock.now())
    api.store.endpoints.put_statuses({"price": broken})
    page = browse(api, "/console")[1].text
    assert "What is wrong" in page
    assert "&lt;b&gt;boom&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.index("What is wrong") < page.index(">Endpoints</h2>")
    assert "price:1" in page


def test_pages_load_nothing_from_elsewhere_and_no_script_but_the_yards_own(api: Api) -> None:
    (page,) = browse(api, "/console")[1:]
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|\son[a-z]+=|style=", page.text)
    addresses = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page.text)
    assert len(addresses) == 3
    for address, answer in zip(addresses, browse(api, *addresses)[1:], strict=True):
        assert address.startswith("/console/static/")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith(("text/css", "text/javascript"))


def test_a_file_has_one_address_and_there_are_no_others(api: Api) -> None:
    for wrong in ("/console/static/0/console.js", "/console/static/0/..%2fpages.py"):
        assert api.ask("GET", wrong, key=None).status_code == 404


def test_the_root_leads_to_the_console(api: Api) -> None:
    assert api.ask("GET", "/", key=None).headers["location"] == "/console"


def test_many_pages_at_once_do_not_wait_for_each_other(api: Api) -> None:
    link = api.post("/links").json()["url"]

    async def go(client: httpx.AsyncClient) -> Any:
        await client.get(link)
        return await asyncio.gather(*(client.get("/console") for _ in range(60)))

    assert {page.status_code for page in api.talk(go)} == {200}


def test_of_a_traceback_the_exception_is_shown_and_the_rest_can_be_opened(api: Api) -> None:
    api.register()
    api.deploy({"name": "price", "model": {"reference": "price"}})
    api.clock.advance(1)
    sentence = "version 1 cannot start\nTraceback (most recent call last):\n  File ...\nOSError: no licence\n"
    broken = EndpointStatus(EndpointState.ERROR, sentence, None, 0, 1, 0, api.clock.now())
    api.store.endpoints.put_statuses({"price": broken})
    page = browse(api, "/console")[1].text
    assert "version 1 cannot start: OSError: no licence" in page
    assert "<details>" in page
