"""InputFilter and OutputFilter, as SageMaker documents them."""

import pytest
from modelyard_worker.transform.json_paths import apply, parse

RECORD = {"id": 7, "features": [1, 2, 3], "name": {"first": "Ada"}, "two words": 5}


@pytest.mark.parametrize(
    ("path", "record", "expected"),
    [
        ("$", RECORD, RECORD),
        ("$.features", RECORD, [1, 2, 3]),
        ("$['two words']", RECORD, 5),
        ("$.name.first", RECORD, "Ada"),
        ("$.features[0]", RECORD, 1),
        ("$.features[-1]", RECORD, 3),
        ("$['id','features']", RECORD, {"id": 7, "features": [1, 2, 3]}),
        ("$[1:]", ["id-1", "0.5", "1.5"], ["0.5", "1.5"]),
        ("$[:2]", [1, 2, 3], [1, 2]),
        ("$[-2:]", [1, 2, 3], [2, 3]),
        ("$[0,-1]", ["id-1", "0.5", "yes"], ["id-1", "yes"]),
        ("$[*]", [1, 2], [1, 2]),
        ("$.*", {"a": 1, "b": 2}, [1, 2]),
        ("$[*].a", [{"a": 1}, {"a": 2}], [1, 2]),
        ("$[1:].a", [{"a": 1}, {"a": 2}], [2]),
    ],
)
def test_a_path_means_what_sagemaker_says(path: str, record: object, expected: object) -> None:
    assert apply(parse(path), record) == expected


@pytest.mark.parametrize("path", ["", "features", "$..a", "$[?(@.a)]", "$[1:2:3]", "$.", "$[", "$['a", "$" + ".a" * 32])
def test_what_is_no_such_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are|at most 63|does not begin"):
        parse(path)


@pytest.mark.parametrize(
    ("path", "record", "words"),
    [
        ("$.x", {"a": 1}, "no field 'x'"),
        ("$[3]", [1], "no element 3"),
        ("$.x", [1], "no object"),
        ("$[0]", 5, "no list"),
    ],
)
def test_what_a_record_does_not_have_is_named(path: str, record: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply(parse(path), record)
