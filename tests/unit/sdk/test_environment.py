import shlex

import pytest

from modelyard.errors import InvalidValue, NotFound
from modelyard.sdk.address import Address
from modelyard.sdk.environment import environment_lines

ADDRESS = Address("http://127.0.0.1:8400", "a 'key'")


def test_without_a_client_the_yard_and_its_key_are_exported():
    assert [shlex.split(line) for line in environment_lines(ADDRESS, None, "p")] == [
        ["export", "MODELYARD_URL=http://127.0.0.1:8400"],
        ["export", "MODELYARD_API_KEY=a 'key'"],
    ]


def test_dvcs_password_goes_only_where_git_does_not_look():
    words = [shlex.split(line) for line in environment_lines(ADDRESS, "dvc", "houses")]
    assert words[0][-1] == "http://127.0.0.1:8400/dvc/houses"
    assert [line for line in words if ADDRESS.key in line] == [
        ["dvc", "remote", "modify", "--local", "yard", "password", "a 'key'"]
    ]


def test_aws_gets_the_address_of_what_there_is_and_no_credential():
    assert environment_lines(ADDRESS, "aws", "p") == [
        "export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8400/aws"
    ]


def test_a_client_without_a_door_is_refused_with_those_that_have_one():
    with pytest.raises(InvalidValue, match="no door") as refused:
        environment_lines(ADDRESS, "gcp", "p")
    assert "dvc, aws" in str(refused.value.hint)
    with pytest.raises(InvalidValue, match="data remote"):
        environment_lines(ADDRESS, "dvc", "no label")


def test_without_a_key_nothing_is_printed_that_would_need_one():
    with pytest.raises(NotFound, match="cannot find the key"):
        environment_lines(Address("http://127.0.0.1:8400"), None, "p")
