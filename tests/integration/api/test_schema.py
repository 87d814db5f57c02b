"""The interface keeps to what /api/openapi.json says of it: whatever is sent, no answer is a fault of ours."""

import contextlib
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.integration.api.yard_over_http import KEY, Api

AUTHORIZED = {"authorization": f"Bearer {KEY}"}
EXAMPLES_PER_OPERATION = 3


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The description, of a yard that has something of each noun."""
    api = Api(tmp_path_factory.mktemp("schema") / "home")
    api.register()
    assert api.deploy({"name": "price", "model": {"reference": "price"}}).status_code == 200
    document = api.ask("GET", "/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.app = api.app
    schema.hook(map_path_parameters)
    schema.hook(map_query)
    return schema


def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the names are those of things that are there."""
    if path_parameters and "name" in path_parameters and len(str(path_parameters["name"])) % 2:
        path_parameters["name"] = "price"
    return path_parameters


def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """An answer that follows has no end."""
    return {key: value for key, value in query.items() if key != "follow"} if query else query


@pytest.mark.long
@pytest.mark.timeout(400)
def test_no_request_finds_a_fault_of_ours(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 15
    statuses: Counter[int] = Counter()
    for operation in operations:
        for mode in GenerationMode:
            # What has neither parameters nor a body cannot be asked wrongly.
            with contextlib.suppress(Unsatisfiable):
                asked = given(operation.as_strategy(generation_mode=mode))(lambda case: _ask(case, statuses))
                settings(
                    max_examples=EXAMPLES_PER_OPERATION,
                    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
                )(asked)()
    assert {200, 400, 404} <= statuses.keys(), statuses


def _ask(case: Any, statuses: Counter[int]) -> None:
    answer = case.call(headers=AUTHORIZED)
    statuses[answer.status_code] += 1
    told = (case.method, case.formatted_path, answer.status_code, answer.content[:1000])
    not_yet = answer.status_code == 503 and answer.json()["error"]["code"] == "not_ready"
    assert answer.status_code < 500 or not_yet, told
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error.keys() == {"code", "message", "hint", "request_id"}, told
        assert error["message"].startswith("cannot "), told
