"""What passes between a browser and an app, and what stays with the yard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.gateway.entrance import next_of
from modelyard.gateway.passing import (
    answer_headers,
    cookie,
    cookie_of_this_host,
    foreign_cookies,
    is_own_page,
    request_headers,
)

NAMES = st.sampled_from([b"modelyard_session", b"__Host-modelyard_app", b"theirs", b"x", b"modelyard_replica"])


@given(st.lists(st.tuples(NAMES, st.from_regex(rb"[a-z0-9]{1,8}", fullmatch=True))))
def test_no_cookie_of_the_yards_passes_and_every_other_does(pairs: list[tuple[bytes, bytes]]) -> None:
    header = b"; ".join(b"%b=%b" % pair for pair in pairs)
    passed = foreign_cookies(header)
    assert passed == [b"%b=%b" % (name, value) for name, value in pairs if b"modelyard_" not in name]


def test_a_key_that_let_somebody_in_does_not_pass_and_an_apps_own_does() -> None:
    headers = [(b"authorization", b"Bearer k"), (b"accept", b"*/*")]
    assert request_headers(headers, credential=True) == [(b"accept", b"*/*")]
    assert request_headers(headers, credential=False) == headers


def test_headers_that_are_for_the_next_hop_do_not_pass() -> None:
    headers = [(b"connection", b"keep-alive, X-Own"), (b"x-own", b"1"), (b"te", b"trailers"), (b"accept", b"*/*")]
    assert request_headers([(name.lower(), value) for name, value in headers], credential=False) == [
        (b"accept", b"*/*")
    ]
    assert answer_headers([(b"connection", b"close"), (b"transfer-encoding", b"chunked"), (b"etag", b"1")]) == [
        (b"etag", b"1")
    ]


@pytest.mark.parametrize(
    "name", [b"x-forwarded-email", b"x_forwarded_email", b"x-forwarded_groups", b"x_modelyard_identity", b"x_real_ip"]
)
def test_nobody_states_who_they_are_however_they_spell_it(name: bytes) -> None:
    assert request_headers([(name, b"boss@example.org"), (b"x_own", b"1")], credential=False) == [(b"x_own", b"1")]


def test_the_first_of_several_cookies_of_a_name_counts() -> None:
    assert cookie(b'a=1; modelyard_app="x"; modelyard_app=y', b"modelyard_app") == b"x"
    assert cookie(b"not_modelyard_app=x", b"modelyard_app") is None


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (b"a=1; Domain=localhost; Path=/", b"a=1; Path=/"),
        (b"a=1; Domain =localhost; Path=/", b"a=1; Path=/"),
        (b"a=1;\tDOMAIN\t= .localhost", b"a=1"),
        (b"a=1; domain", b"a=1"),
        (b"a=domain; Path=/", b"a=domain; Path=/"),
        (b"a=1; Domains=x", b"a=1; Domains=x"),
        (b"modelyard_app=1", None),
        (b" __Host-modelyard_session=1; Path=/; Secure", None),
        (b"=modelyard_app=1; Path=/", None),
        (b" = modelyard_session=1", None),
    ],
)
def test_a_cookie_stays_at_the_host_that_set_it_and_is_none_of_the_yards(given: bytes, passed: bytes | None) -> None:
    assert cookie_of_this_host(given) == passed


def test_the_way_back_leads_nowhere_else() -> None:
    assert next_of(b"/page?x=1") == "/page?x=1"
    for bad in (b"//evil.example", b"/\\evil.example", b"http://evil.example", b"/" + b"x" * 400, "/\u00e9".encode()):
        assert next_of(bad) == "/"


def test_an_app_sets_none_of_the_yards_cookies_of_whatever_port_nor_one_without_a_name_that_becomes_it() -> None:
    own = (
        b"modelyard_session=1",
        b"modelyard_app_8502=1; Path=/",
        b" __Host-modelyard_app_8502=1",
        b"=modelyard_session=1",
        b"modelyard_session",
    )
    assert answer_headers([(b"set-cookie", one) for one in (*own, b"theirs=1")]) == [(b"set-cookie", b"theirs=1")]
    assert foreign_cookies(b"modelyard_app_8501=a; __Host-modelyard_app_8502=b; x=1") == [b"x=1"]


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (None, True),
        (b"http://192.168.1.5:8501", True),
        (b"https://192.168.1.5:8501", True),
        (b"http://192.168.1.5:8502", False),
        (b"http://192.168.1.5", False),
        (b"null", False),
    ],
)
def test_a_page_at_another_port_of_the_host_is_of_another_origin(origin: bytes | None, own: bool) -> None:
    fields = {b"host": b"192.168.1.5:8501"} | ({b"origin": origin} if origin is not None else {})
    assert is_own_page(fields) == own
