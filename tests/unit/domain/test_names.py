import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.names import (
    NAME_LENGTH_MAX,
    check_model_name,
    check_name,
    name_key,
    nearest,
    not_found,
    parse_reference,
    resolve,
)
from modelyard.errors import Ambiguous, InvalidValue, NotFound

KNOWN = [("endpoint", "Price"), ("model", "price"), ("endpoint", "fraud")]


@pytest.mark.parametrize("name", ["a", "Price", "price-2", "0", "x" * NAME_LENGTH_MAX])
def test_dns_labels_are_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a_b", "a b", "a.b", "../a", "\u00fc", "a\n", "x" * (NAME_LENGTH_MAX + 1)]
)
def test_what_is_no_dns_label_is_refused(name):
    with pytest.raises(InvalidValue, match="not a DNS label"):
        check_name(name)


@given(st.text(max_size=100))
def test_every_refused_name_comes_with_one_that_would_do_or_with_the_rule(name):
    try:
        check_name(name)
    except InvalidValue as refused:
        rule, _, proposal = (refused.hint or "").partition("; try ")
        assert "letters, digits and hyphens" in rule
        if proposal:
            assert check_name(proposal) == proposal


def test_the_rule_names_what_is_meant():
    with pytest.raises(InvalidValue, match="cannot use training name 'a_b'") as refused:
        check_name("a_b", "training name")
    assert refused.value.hint.endswith("try a-b")


def test_a_model_may_have_an_underscore_and_no_other_may():
    assert check_model_name("iris_model-2") == "iris_model-2"
    for name in ("_iris", "iris_", "iris model", "a:b", "a@b", "a/b", "a.b"):
        with pytest.raises(InvalidValue, match="cannot use model name"):
            check_model_name(name)


@given(st.text(max_size=100))
def test_every_refused_model_name_comes_with_one_that_would_do_or_with_the_rule(name):
    try:
        check_model_name(name)
    except InvalidValue as refused:
        _, _, proposal = (refused.hint or "").partition("; try ")
        if proposal:
            assert check_model_name(proposal) == proposal


def test_case_does_not_tell_names_apart():
    assert name_key("Price") == name_key("pRICE")


def test_the_nearest_spelling_is_found_or_none():
    assert nearest("prise", ["fraud", "Price"]) == "Price"
    assert nearest("zzz", ["fraud", "Price"]) is None


def test_references_may_name_their_kind():
    assert parse_reference("price") == (None, "price")
    assert parse_reference("model/price") == ("model", "price")
    with pytest.raises(InvalidValue) as refused:
        parse_reference("modle/price")
    assert refused.value.hint == "did you mean model/price?"


def test_a_name_finds_its_resource_whatever_its_case():
    assert resolve("FRAUD", KNOWN) == ("endpoint", "fraud")
    assert resolve("endpoint/price", KNOWN) == ("endpoint", "Price")


def test_an_ambiguous_name_is_refused_with_the_candidates():
    with pytest.raises(Ambiguous) as refused:
        resolve("price", KNOWN)
    assert refused.value.hint == "say endpoint/Price or model/price"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(NotFound) as refused:
        resolve("fruad", KNOWN)
    assert refused.value.hint == "did you mean fraud?"
    assert not_found("run", "zzz", []).hint == "`modelyard runs` lists what is there"
    assert not_found("endpoint", "zzz", []).hint == "`modelyard get` lists what is there"
