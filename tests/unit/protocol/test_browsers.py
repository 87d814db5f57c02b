"""Whether a request comes from a page of ours."""

import pytest

from modelyard.protocol.browsers import is_own, keeps_to_tls, own_origin, presented_session


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "own"),
    [
        ("http://yard:8400", "yard:8400", "http", True),
        ("https://yard", "yard:443", "https", True),
        ("http://YARD:80", "yard", "http", True),
        ("http://yard:8400", "yard:8401", "http", False),
        ("http://yard", "yard", "https", False),
        ("http://evil.example", "yard", "http", False),
        ("null", "yard", "http", False),
        ("null", "", "http", False),
        ("http://yard:port", "yard", "http", False),
        ("", "", "http", False),
    ],
)
def test_a_page_is_ours_by_scheme_host_and_port(origin: str, host: str, scheme: str, own: bool) -> None:
    assert is_own(origin, {"host": host, "x-forwarded-proto": scheme}) is own


def test_the_own_origin_is_how_the_client_reached_us() -> None:
    assert own_origin({"host": "yard:8400"}) == "http://yard:8400"
    assert own_origin({"host": "yard", "x-forwarded-proto": "https"}) == "https://yard"


def test_the_session_that_only_this_host_can_have_set_comes_first() -> None:
    both = "modelyard_session=planted; __Host-modelyard_session=ours"
    assert presented_session({"cookie": both}) == "ours"
    assert presented_session({"cookie": "modelyard_session=plain"}) == "plain"
    assert presented_session({"cookie": "other=1"}) is None
    assert presented_session({}) is None


def test_cookies_of_other_programs_at_the_same_host_hide_none_of_ours() -> None:
    theirs = 'theirs={"a":1}; @x=[2]; alone; modelyard_session="ours"; modelyard_session=another'
    assert presented_session({"cookie": theirs}) == "ours"


@pytest.mark.parametrize(
    ("host", "scheme", "kept"),
    [
        ("yard.example:8443", "https", True),
        ("yard.example", "http", False),
        ("localhost:8443", "https", False),
        ("board.localhost", "https", False),
        ("127.0.0.1:8443", "https", False),
        ("[::1]:8443", "https", False),
    ],
)
def test_only_who_came_by_tls_and_by_our_name_is_told_to_stay_with_it(host: str, scheme: str, kept: bool) -> None:
    assert keeps_to_tls({"host": host, "x-forwarded-proto": scheme}) is kept
