"""Host names, and which of them browsers take for one site."""

import pytest

from modelyard.domain.hosts import check_host_name, check_own_host, registrable, shares_domain
from modelyard.errors import InvalidValue


def test_a_host_name_is_compared_in_lower_case_without_its_last_dot() -> None:
    assert check_host_name("Apps.Example.COM.") == "apps.example.com"


@pytest.mark.parametrize("name", ["", "a b", "-a.example", "a..b", "x" * 64, "a/b", "a:1", "10.0.0.1", "*.example.com"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="cannot use"):
        check_host_name(name)


@pytest.mark.parametrize("name", ["localhost", "board.localhost", "board"])
def test_names_of_this_machine_are_given_by_the_yard_alone(name: str) -> None:
    with pytest.raises(InvalidValue, match="of its own"):
        check_own_host(name)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("yard.example.com", "apps.example.com", True),
        ("yard.example.com", "apps.example.org", False),
        ("yard.example.co.uk", "apps.other.co.uk", False),
        ("yard.example.co.uk", "apps.example.co.uk", True),
        ("yard.local", "yard.local", True),
    ],
)
def test_names_below_one_registered_domain_are_one_site_to_browsers(one: str, other: str, shared: bool) -> None:
    assert shares_domain(one, other) is shared


def test_the_registered_part_of_a_short_name_is_all_of_it() -> None:
    assert registrable("localhost") == "localhost"
