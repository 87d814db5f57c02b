"""Which route a request meets, and which page of another origin may read its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.gateways import (
    Authorizer,
    Cors,
    Gateway,
    Route,
    Routes,
    Target,
    check_gateway,
    check_route_key,
    check_url,
    cors_headers,
    find_stage,
    gateway_document,
    gateway_from,
    path_at_site,
)
from modelyard.domain.openapi_gateways import openapi_of, routes_from_openapi
from modelyard.domain.usage import Plan
from modelyard.errors import InvalidValue

KEYS = (
    "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /pets/dog/{id}", "ANY /{proxy+}", "GET /",
    "$default",
)  # fmt: skip

PATHS = ("/pets/dog/1", "/pets/x", "/", "/y/z")


def routes(*keys: str) -> Routes:
    return Routes([Route(key, Target(function="f")) for key in keys])


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/pets/dog/1", "ANY /pets/dog/{id}", {"id": "1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("GET", "/", "GET /", {}),
        ("POST", "/", "$default", {}),
        ("GET", "/pets/dog/a%2Fb%20c", "GET /pets/dog/{id}", {"id": "a/b c"}),
    ],
)
def test_the_most_specific_route_is_met_as_api_gateway_documents_it(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    met = routes(*KEYS).find(method, path)
    assert met is not None
    assert (met.route.key, met.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("key", "path", "place"),
    [
        ("GET /docs/{proxy+}", "/docs/a/b%20c.html", "/a/b%20c.html"),
        ("GET /docs/{proxy+}", "/docs/", "/"),
        ("GET /docs/{proxy+}", "/docs", None),
        ("GET /{shop}/docs/{proxy+}", "/one/docs/a", "/a"),
        ("ANY /{proxy+}", "/", "/"),
        ("ANY /{proxy+}", "/a//b", "/a//b"),
        ("GET /logo.png", "/logo.png", "/logo.png"),
        ("$default", "/any/where", "/any/where"),
    ],
)
def test_a_site_is_asked_for_what_the_route_takes_of_the_path(key: str, path: str, place: str | None) -> None:
    route = Route(key, Target(site="pages"))
    met = Routes([route]).find("GET", path)
    assert met is not None, "its own place too, which no greedy parameter of a function takes"
    assert path_at_site(met.route, path) == place


def test_a_site_is_only_read() -> None:
    with pytest.raises(InvalidValue, match="its files are only read"):
        check_gateway(Gateway((Route("POST /docs", Target(site="pages")),)))


def test_without_a_default_what_matches_nothing_meets_nothing() -> None:
    assert routes("GET /a").find("GET", "/b") is None
    assert routes("GET /a").find("POST", "/a") is None
    assert routes("GET /a/{id}").find("GET", "/a/") is None


@given(st.permutations(KEYS), st.sampled_from(["GET", "POST"]), st.sampled_from(PATHS))
def test_the_order_in_which_routes_are_written_means_nothing(keys: list[str], method: str, path: str) -> None:
    assert routes(*keys).find(method, path) == routes(*KEYS).find(method, path)


@pytest.mark.parametrize("key", ["GET items", "FETCH /x", "GET /{a+}/b", "GET /x{a}", "/x", ""])
def test_what_is_no_route_is_refused(key: str) -> None:
    with pytest.raises(InvalidValue):
        check_route_key(key)


def test_a_named_stage_has_a_prefix_and_the_default_one_has_none() -> None:
    stages = {"$default": {}, "test": {}}
    assert find_stage(stages, "/test/items") == ("test", "/items")
    assert find_stage(stages, "/test") == ("test", "/")
    assert find_stage(stages, "/tester") == ("$default", "/tester")
    assert find_stage({"test": {}}, "/items") is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "http://user:word@x/",
        "//x",
        "http://x/#a",
        "http://{h}/",
        "http://x y/",
        "http://b\u00fc.de/",
    ],
)
def test_a_url_that_could_mean_anything_else_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        check_url(url)


def test_two_routes_that_match_the_same_are_refused() -> None:
    same = (Route("GET /a/{x}", Target(function="f")), Route("GET /a/{y}", Target(function="g")))
    with pytest.raises(InvalidValue, match="cannot tell"):
        check_gateway(Gateway(same))


def test_what_a_route_names_must_be_there() -> None:
    for route in (
        Route("GET /a", Target()),
        Route("GET /a", Target(function="f", endpoint="g")),
        Route("GET /a", Target(function="f"), authorizer="nobody"),
        Route("GET /a", Target(function="f"), needs_key=True),
    ):
        with pytest.raises(InvalidValue):
            check_gateway(Gateway((route,)))


def test_a_page_of_an_origin_that_is_not_allowed_is_told_nothing() -> None:
    cors = Cors(origins=("https://a.example",), headers=("x-a",), max_age_seconds=5)
    assert cors_headers(cors, "https://b.example", preflight=True) == []
    assert dict(cors_headers(cors, "https://a.example", preflight=True)) == {
        "access-control-allow-origin": "https://a.example",
        "vary": "origin",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "5",
    }


def test_with_credentials_a_star_is_the_pages_own_origin() -> None:
    told = dict(cors_headers(Cors(origins=("*",), credentials=True), "https://b.example", preflight=False))
    assert told["access-control-allow-origin"] == "https://b.example"
    assert told["access-control-allow-credentials"] == "true"


def test_a_document_holds_the_whole_gateway() -> None:
    gateway = Gateway(
        (Route("GET /a/{b}", Target(url="https://x/{b}"), scopes=("s",), query=("q",), authorizer="people"),),
        stages={"$default": {}, "v1": {"k": "v"}},
        cors=Cors(("*",)),
        plans={"p": Plan(1.0, 2)},
        authorizers={"people": Authorizer("https://i", ("me",))},
        throttle=Plan(5.0),
        hosts=("api.example.com",),
    )
    check_gateway(gateway)
    assert gateway_from(gateway_document(gateway)) == gateway


def test_what_openapi_is_made_of_it_is_read_from_it() -> None:
    gateway = Gateway(
        (
            Route("POST /a/{b}", Target(function="f"), "1.0", query=("q",), body={"type": "object"}),
            Route("ANY /{proxy+}", Target(url="https://x/{proxy}")),
            Route("$default", Target(endpoint="e"), authorizer="people", scopes=("s",)),
        ),
        authorizers={"people": Authorizer("https://i", ("me",))},
    )
    assert routes_from_openapi(openapi_of("g", gateway, "http://h/gateways/g")) == {
        "POST /a/{b}": {"function": "f", "payload": "1.0", "query": ["q"], "body": {"type": "object"}},
        "ANY /{proxy+}": {"url": "https://x/{proxy}"},
        "$default": {"endpoint": "e", "authorizer": "people", "scopes": ["s"]},
    }


def test_amazons_own_integrations_are_read() -> None:
    arn = "arn:aws:apigateway:eu:lambda:path/2015-03-31/functions/arn:aws:lambda:eu:1:function:hello/invocations"
    operation = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": arn, "payloadFormatVersion": "2.0"}}
    found = routes_from_openapi({"paths": {"/x": {"get": operation}}})
    assert found == {"GET /x": {"function": "hello", "payload": "2.0"}}
