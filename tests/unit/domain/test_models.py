import json
from dataclasses import asdict

import pytest

from modelyard.domain.models import (
    VERSIONS_NAMED_MAX,
    Lineage,
    ModelReference,
    check_owner,
    lineage_from,
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
