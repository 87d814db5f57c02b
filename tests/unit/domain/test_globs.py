"""Patterns of object paths mean what they mean to Cortex."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.globs import compile_glob
from modelyard.errors import InvalidValue


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("**.csv", "s3://a/b/c.csv", True),
        ("*.csv", "s3://a/b/c.csv", False),
        ("s3://a/*/c.csv", "s3://a/b/c.csv", True),
        ("s3://a/*/c.csv", "s3://a/b/d/c.csv", False),
        ("s3://a/**/c.csv", "s3://a/b/d/c.csv", True),
        ("s3://a/?.csv", "s3://a/b.csv", True),
        ("s3://a?b.csv", "s3://a/b.csv", False),
        ("s3://a/[a-c].csv", "s3://a/b.csv", True),
        ("s3://a/[!a-c].csv", "s3://a/b.csv", False),
        ("s3://a/[!a-c^].csv", "s3://a/^.csv", False),
        ("**.{csv,json*}", "s3://a/b.jsonl", True),
        ("**.{csv,json}", "s3://a/b.parquet", False),
        ("a,b", "a,b", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "acb", False),
        ("a.b", "acb", False),
    ],
)
def test_stars_stop_at_slashes_and_two_of_them_do_not(pattern: str, path: str, *, matches: bool) -> None:
    assert (compile_glob(pattern).fullmatch(path) is not None) == matches


@pytest.mark.parametrize("pattern", ["[ab", "{a,b", "a}", "a]", "[z-a]", "\\"])
def test_what_is_not_closed_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidValue, match="cannot read the pattern"):
        compile_glob(pattern)


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_is_refused_as_one(pattern: str) -> None:
    try:
        compile_glob(pattern)
    except InvalidValue:
        return


@given(st.text(alphabet="ab/.", max_size=20))
def test_a_text_without_signs_matches_itself_alone_and_two_stars_match_everything(text: str) -> None:
    assert compile_glob(text).fullmatch(text)
    assert not compile_glob(text).fullmatch(text + "a")
    assert compile_glob("**").fullmatch(text)
