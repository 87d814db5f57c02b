import json
from dataclasses import asdict

import pytest

from modelyard.domain.models import (
    TAGS_MAX,
    VERSIONS_NAMED_MAX,
    Approval,
    ApprovalState,
    Lineage,
    ModelReference,
    ModelVersion,
    approval_from,
    check_approved,
    check_owner,
    lineage_from,
    merged_tags,
    parse_model_reference,
    version_not_found,
)
from modelyard.errors import Conflict, InvalidValue


def test_a_reference_is_a_name_with_or_without_a_version():
    assert parse_model_reference("price") == ModelReference("price")
    assert parse_model_reference("price:3") == ModelReference("price", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":3",
        "price:",
        "price:0",
        "price:-1",
        "price:x",
        "price@",
        "price@latest",
        "price:1@champion",
        "a/b",
        "p q:1",
    ],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InvalidValue):
        parse_model_reference(text)


def test_lineage_comes_back_from_json_and_overlooks_what_it_does_not_know():
    lineage = Lineage("run-1", {"train": "d"}, {"eta": "0.2"}, {"rmse": 1.0}, "builtin:xgboost@3", "abc")
    document = json.loads(json.dumps(asdict(lineage)))
    assert lineage_from({**document, "from_the_future": 1}) == lineage


def test_only_the_owner_adds_versions():
    check_owner("price", "shop", "shop")
    with pytest.raises(Conflict, match="belongs to project shop"):
        check_owner("price", "shop", "other")


def test_a_missing_version_is_refused_with_some_of_those_there_are():
    assert version_not_found("price", 9, [3, 1]).hint == "there are 3, 1"
    many = version_not_found("price", 99, list(range(50, 0, -1))).hint
    assert many.endswith(", ...")
    assert many.count(",") == VERSIONS_NAMED_MAX


def test_a_reference_may_name_an_alias_and_is_written_as_it_was_read():
    assert parse_model_reference("price@champion") == ModelReference("price", alias="champion")
    for text in ("price", "price:3", "price@champion"):
        assert str(parse_model_reference(text)) == text


def version(state=ApprovalState.PENDING, by=None, note=None):
    approval = Approval(state, by, None if by is None else 1.0, note)
    return ModelVersion("price", 3, "t", 1, None, 1.0, "shop", approval=approval)


def test_only_an_approved_version_is_deployed_where_approval_is_required():
    check_approved(version(ApprovalState.APPROVED))
    with pytest.raises(Conflict, match="cannot deploy price:3, which has to be approved: it is waiting") as pending:
        check_approved(version())
    assert "`modelyard models approve price:3`" in str(pending.value.hint)
    with pytest.raises(Conflict, match=r"it was rejected by ada \(leaks\)"):
        check_approved(version(ApprovalState.REJECTED, "ada", "leaks"))


def test_an_approval_comes_back_from_json_and_none_is_pending():
    approval = Approval(ApprovalState.REJECTED, "ada", 5.0, "leaks")
    assert approval_from({**json.loads(json.dumps(asdict(approval))), "from_the_future": 1}) == approval
    assert approval_from(None) == approval_from({}) == Approval()


def test_tags_have_limits():
    for changes in (
        {"a" * 300: "x"},
        {"a": "x" * 6000},
        {"a": "\0"},
        {f"t{number}": "x" for number in range(TAGS_MAX + 1)},
    ):
        with pytest.raises(InvalidValue, match="cannot tag price:3"):
            merged_tags("price:3", {}, changes)
    assert merged_tags("price:3", {"b": "1", "a": "2"}, {"c": "3", "b": None}) == {"a": "2", "c": "3"}
