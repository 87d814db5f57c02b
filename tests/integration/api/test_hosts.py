"""A host name leads to one place, and so does a port."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.protocol.ports import write_ports
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


def at_port(resource: dict[str, Any], port: int) -> dict[str, Any]:
    return {**resource, "spec": {**resource["spec"], "port": port}}


@pytest.fixture
def listening(api: Api) -> Iterator[int]:
    """A port at which another program listens, while the yard is up on this machine."""
    api.home.yard.write_text(json.dumps({"host": "127.0.0.1", "port": 8400, "tls_port": 8443}))
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_that_another_has_is_refused_in_one_deploy_as_in_two_and_may_change_hands(api: Api) -> None:
    docs, shop = a_site(api, "docs"), a_gateway("shop")
    told = refusal(api.deploy(at_port(docs, 8501), at_port(shop, 8501)), 409, "conflict")
    assert "answers at port 8501" in told["message"]
    assert api.deploy(at_port(docs, 8501), at_port(shop, 8502)).status_code == 200
    refusal(api.deploy(at_port(shop, 8501)), 409, "conflict")
    assert api.deploy(at_port(docs, 8502), at_port(shop, 8501)).status_code == 200
    refusal(api.post("/resources/site/docs/rollback", {}), 409, "conflict")
    refusal(api.deploy(at_port(docs, 70_000)), 400, "invalid_value")


def test_a_host_name_that_two_of_one_deploy_wish_is_refused(api: Api) -> None:
    refusal(api.deploy(a_site(api, "docs", "a.example.com"), a_gateway("shop", "a.example.com")), 409, "conflict")


@pytest.mark.parametrize("port", [8400, 8443])
def test_the_yards_own_ports_are_refused(api: Api, listening: int, port: int) -> None:
    told = refusal(api.deploy(at_port(a_site(api, "docs"), port)), 409, "conflict")
    assert told["message"] == f"cannot deploy site docs at port {port}: the yard itself listens there"


def test_a_port_at_which_another_program_listens_is_refused_and_ones_own_gateways_is_not(
    api: Api, listening: int
) -> None:
    docs = at_port(a_site(api, "docs"), listening)
    told = refusal(api.deploy(docs), 409, "conflict")
    assert told["message"] == f"cannot deploy site docs at port {listening}: another program listens there"
    write_ports(api.home.ports, {listening: None})
    assert api.deploy(docs).status_code == 200
    write_ports(api.home.ports, {listening: "another program listens there"})
    assert api.deploy(docs).status_code == 200, "what it had before stands in no deploy's way"


def test_a_resource_says_where_it_is_and_why_its_port_is_not_open(api: Api, listening: int) -> None:
    assert api.deploy(at_port(a_site(api, "docs"), 8501), a_gateway("shop")).status_code == 200
    write_ports(api.home.ports, {8501: "another program listens there; end it"})
    docs = api.get("/resources/site/docs", headers={"host": "192.168.1.5:8400"}).json()
    assert docs["url"] == "https://192.168.1.5:8501"
    assert docs["notes"] == ["port 8501 is not open: another program listens there; end it; it is tried again"]
    shop = api.get("/resources/gateway/shop").json()
    assert (shop["url"], shop["notes"]) == ("http://shop.localhost:8400", [])
