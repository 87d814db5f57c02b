"""A host name leads to one place."""

from typing import Any

from tests.integration.api.yard_over_http import Api, refusal


def a_gateway(name: str, *hosts: str) -> dict[str, Any]:
    routes = [{"key": "$default", "target": {"url": "https://example.com/"}}]
    return {"kind": "gateway", "name": name, "spec": {"routes": routes, "hosts": list(hosts)}}


def a_site(api: Api, name: str, *hosts: str) -> dict[str, Any]:
    return {"kind": "site", "name": name, "spec": {"tree": api.tree({"index.html": b"<p>"}), "hosts": list(hosts)}}


def test_a_name_that_another_has_is_refused_and_ones_own_is_kept(api: Api) -> None:
    assert api.deploy(a_gateway("shop", "shop.example.com")).status_code == 200
    assert api.deploy(a_gateway("shop", "shop.example.com", "www.example.com")).status_code == 200
    for other in (a_gateway("second", "www.example.com"), a_site(api, "pages", "www.example.com")):
        refusal(api.deploy(other), 409, "conflict")


def test_two_kinds_of_one_name_would_answer_at_one_address(api: Api) -> None:
    assert api.deploy(a_site(api, "shop")).status_code == 200
    told = refusal(api.deploy(a_gateway("shop")), 409, "conflict")
    assert "site shop answers at shop.localhost" in told["message"]
