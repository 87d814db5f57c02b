"""Requests to S3: signed as AWS's own examples are, sent where they belong, named as files are."""

import time
from pathlib import Path

import pytest
from modelyard_worker.object_store import ObjectStore, Place, parse_place, relative_name

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "signature"),
    [
        # "Authenticating Requests: Using the Authorization Header", Amazon S3's API reference: GET Object, GET Bucket
        # Lifecycle, List Objects.
        (
            "GET",
            "/test.txt",
            "",
            {"Range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("GET", "/", "lifecycle=", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/", "max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_request_is_signed_as_in_the_published_examples(
    method: str, path: str, query: str, headers: dict[str, str], signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20130524T000000Z")
    store = ObjectStore({**KEYS, "AWS_REGION": "us-east-1"})
    signed = store._signed(method, "examplebucket.s3.amazonaws.com", path, query, headers, b"")
    assert signed["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("environment", "bucket", "address"),
    [
        ({}, "data", ("https://data.s3.us-east-1.amazonaws.com", "/a%20b/%2Bc.csv")),
        ({"AWS_REGION": "eu-central-1"}, "data", ("https://data.s3.eu-central-1.amazonaws.com", "/a%20b/%2Bc.csv")),
        ({}, "my.data", ("https://s3.us-east-1.amazonaws.com", "/my.data/a%20b/%2Bc.csv")),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "data", ("http://minio:9000", "/data/a%20b/%2Bc.csv")),
        ({"AWS_ENDPOINT_URL_S3": "https://x/s3"}, "data", ("https://x", "/s3/data/a%20b/%2Bc.csv")),
    ],
)
def test_an_object_is_asked_for_where_its_store_is(
    environment: dict[str, str], bucket: str, address: tuple[str, str]
) -> None:
    assert ObjectStore(environment)._address(Place(bucket, "a b/+c.csv")) == address


def test_without_credentials_nothing_is_signed_and_with_a_profile_its_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\n[work]\naws_access_key_id = A\naws_secret_access_key = B\naws_session_token = C\n")
    place = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    assert ObjectStore(place)._signed("GET", "h", "/", "", {}, b"") == {"host": "h"}
    signed = ObjectStore({**place, "AWS_PROFILE": "work"})._signed("GET", "h", "/", "", {}, b"")
    assert signed["x-amz-security-token"] == "C"
    assert "Credential=A/" in signed["authorization"]


@pytest.mark.parametrize(
    ("url", "key", "name"),
    [
        ("s3://box/data/a.csv", "data/a.csv", "a.csv"),
        ("s3://box/data/", "data/x/a.csv", "x/a.csv"),
        ("s3://box/data", "data/x/a.csv", "x/a.csv"),
        ("s3://box/data/2030-", "data/2030-01.csv", "2030-01.csv"),
        ("s3://box", "x/a.csv", "x/a.csv"),
    ],
)
def test_an_object_is_called_as_a_file_below_its_prefix_is(url: str, key: str, name: str) -> None:
    assert relative_name(parse_place(url), key) == name


@pytest.mark.parametrize("url", ["s3:/box/k", "s3://", "s3://b/k", "s3://box!/k", "s3://box/\0", "https://box/k"])
def test_what_is_no_object_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write s3://BUCKET/KEY"):
        parse_place(url)
