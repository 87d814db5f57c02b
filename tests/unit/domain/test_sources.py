import pytest

from modelyard.domain.sources import (
    SOURCE_LENGTH_MAX,
    DvcSource,
    ObjectSource,
    PathSource,
    RunSource,
    UrlSource,
    parse_source,
)
from modelyard.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("data/train.csv", PathSource("data/train.csv")),
        ("./dvc:odd", PathSource("./dvc:odd")),
        ("a:b", PathSource("a:b")),
        ("https://example.com/a.csv", UrlSource("https://example.com/a.csv")),
        ("s3://bucket/data/a.csv", ObjectSource("bucket", "data/a.csv")),
        ("S3://my.bucket", ObjectSource("my.bucket", "")),
        ("dvc:data/train.csv", DvcSource("data/train.csv", None)),
        ("dvc:data/train.csv@v1", DvcSource("data/train.csv", "v1")),
        ("dvc:./a@b.csv@feature/x~1", DvcSource("a@b.csv", "feature/x~1")),
        ("run:price-training-3/model", RunSource("price-training-3", "model")),
        ("run:price-training-3/output", RunSource("price-training-3", "output")),
    ],
)
def test_an_input_says_where_it_comes_from(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize(
    "text",
    [
        "", "\0", "s3://", "s3:///key", "s3://b!/key", "ftp://host/a", "http://", "https://[", "run:", "run:x",
        "run:x/logs",
        "run:a b/model", "dvc:", "dvc:@v1", "dvc:/etc/passwd", "dvc:../other@v1", "dvc:a@--output=b", "dvc:a@",
        "dvc:a@v1..v2",
        "a" * (SOURCE_LENGTH_MAX + 1),
    ],
)  # fmt: skip
def test_what_no_input_can_come_from_is_refused(text):
    with pytest.raises(InvalidValue, match="cannot read"):
        parse_source(text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/a/rows.csv?x=1", "rows.csv"),
        ("https://example.com/my%20rows.csv", "my rows.csv"),
        ("https://example.com", "data"),
        ("https://example.com/a/..", "data"),
        ("https://example.com/%2e%2e", "data"),
        ("https://example.com/a%5Cb", "data"),
    ],
)
def test_a_downloaded_file_is_called_as_its_url_ends(url, name):
    assert UrlSource(url).file_name == name


def test_nothing_secret_of_a_url_is_shown():
    shown = UrlSource("https://ada:word@example.com:8443/rows.csv?X-Signature=abc#part").without_secrets
    assert shown == "https://example.com:8443/rows.csv"
