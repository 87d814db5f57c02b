"""Where the yard is found, and who gets the key."""

import json
from pathlib import Path

import pytest

from modelyard.errors import InvalidValue, YardDown
from modelyard.sdk.address import find_address
from modelyard.settings import Home

HERE = "http://127.0.0.1:8400"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "yard.json").write_text(json.dumps({"url": HERE}))
    (tmp_path / "key").write_text("the-homes-key\n")
    return Home(tmp_path)


def test_the_homes_yard_is_found_with_its_key(home: Home) -> None:
    found = find_address({}, home)
    assert (found.url, found.key) == (HERE, "the-homes-key")


def test_the_environment_names_another_yard(home: Home) -> None:
    found = find_address({"MODELYARD_URL": "https://yard.example/", "MODELYARD_API_KEY": "other"}, home)
    assert (found.url, found.key) == ("https://yard.example", "other")


def test_the_homes_key_is_not_sent_elsewhere(home: Home) -> None:
    assert find_address({"MODELYARD_URL": "http://elsewhere:8400"}, home).key is None
    assert find_address({"MODELYARD_URL": HERE}, home).key == "the-homes-key"


def test_a_key_is_never_shown(home: Home) -> None:
    assert "the-homes-key" not in repr(find_address({}, home))


@pytest.mark.parametrize("url", ["127.0.0.1:8400", "ftp://host", "http://", "http://host:port", "http://host:0"])
def test_what_is_no_address_is_refused(home: Home, url: str) -> None:
    with pytest.raises(InvalidValue, match="address"):
        find_address({"MODELYARD_URL": url}, home)


def test_a_home_without_a_yard_says_so(tmp_path: Path) -> None:
    with pytest.raises(YardDown, match="cannot find a yard"):
        find_address({}, Home(tmp_path))
