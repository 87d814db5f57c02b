"""Which of an endpoint's models a request names."""

import pytest

from modelyard.gateway.asked_model import asked_model

HEADER = [(b"content-type", b"text/csv"), (b"x-amzn-sagemaker-target-model", b"price.tar.gz")]


@pytest.mark.parametrize(
    ("headers", "query", "model", "version"),
    [
        ([], None, None, None),
        (HEADER, None, b"price.tar.gz", None),
        ([], b"model=price", b"price", None),
        ([], b"model=price&version=3", b"price", b"3"),
        ([], b"model_name=eu%2Fprice&model_version=latest", b"eu/price", b"latest"),
        (HEADER, b"model=other&version=2", b"price.tar.gz", None),
        ([], b"debug=true", None, None),
    ],
)
def test_the_header_names_the_model_else_the_query(
    headers: list[tuple[bytes, bytes]], query: bytes | None, model: bytes | None, version: bytes | None
) -> None:
    assert tuple(asked_model(headers, query)) == (model, version)
