import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.secrets import (
    MASKED_LENGTH_MIN,
    Masks,
    Secret,
    changed_since,
    check_references,
    check_secret_name,
)
from modelyard.errors import InvalidValue, NotFound

LONG_ENOUGH = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=MASKED_LENGTH_MIN)


@given(LONG_ENOUGH, st.text(), st.text())
def test_no_value_is_left_wherever_it_stands(value: str, before: str, after: str) -> None:
    masks = Masks([value])
    text = before + value + after
    assert value not in masks.text(text) or value in before + "***" + after
    assert "***" in masks.text(text)
    assert masks.content(text.encode()) == masks.text(text).encode()


@given(st.text())
def test_without_secrets_nothing_changes(text: str) -> None:
    assert Masks([]).text(text) == text


def test_a_value_that_would_be_found_in_every_other_word_is_not_masked() -> None:
    assert Masks(["abcde"]).text("abcde") == "abcde"


def test_a_value_is_masked_as_json_and_as_a_part_of_a_url_too() -> None:
    value = 'p"ss w/rd'
    masks = Masks([value])
    assert masks.text(json.dumps({"password": value})) == '{"password": "***"}'
    assert masks.text(f"postgres://me:{quote(value, safe='')}@db") == "postgres://me:***@db"


def test_each_line_of_a_value_of_several_is_masked_for_itself() -> None:
    masks = Masks(["-----BEGIN-----\n  abcdefgh\nshort\n-----END-----\n"])
    assert masks.text("one abcdefgh two") == "one *** two"
    assert masks.text("short") == "short"


def test_a_value_that_holds_another_is_masked_whole() -> None:
    assert Masks(["secret", "secret-and-more"]).text("secret-and-more secret") == "*** ***"


@pytest.mark.parametrize("name", ["a", "DB_PASSWORD", "db.password-2", "0"])
def test_names_that_variables_and_hosts_have_are_good(name: str) -> None:
    assert check_secret_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "-a", "a-", "a b", "x" * 129, "\u00e4"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        check_secret_name(name)


def test_a_reference_to_nothing_is_refused_with_the_nearest_or_with_how_to_set_it() -> None:
    check_references({"X": "TOKEN"}, {}, ["token"])
    with pytest.raises(NotFound) as refused:
        check_references({"X": "tokn"}, {}, ["token"])
    assert refused.value.hint == "did you mean token?"
    with pytest.raises(NotFound) as refused:
        check_references({"X": "tokn"}, {}, [])
    assert refused.value.hint == "set it first: `modelyard secret set tokn`"


def test_what_was_set_after_a_start_is_told() -> None:
    secrets = [Secret("Old", 1, 1.0, 5.0), Secret("New", 2, 1.0, 15.0), Secret("Other", 2, 1.0, 15.0)]
    assert changed_since({"A": "old", "B": "new"}, secrets, 10.0) == ["New"]
