"""The real boto3 against a real yard: SageMaker's runtime API, signed, at `endpoint_url` and under `/aws`."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import a_yard, iris_model
from tests.acceptance.yard import Yard, eventually
from tests.guests.guest_environment import guest_python

__all__ = ["iris_model"]
"""A fixture: pytest finds it by its name here."""

pytestmark = [pytest.mark.environments, pytest.mark.timeout(300)]

CLIENT = Path(__file__).with_name("client.py")
LIMIT_SECONDS = 60

ECHO = """
from modelyard_worker.response import Response

class Predictor:
    def predict(self, payload, headers):
        if "raise" in payload:
            raise ValueError(payload["raise"])
        if "status" in payload:
            return Response("a teapot", payload["status"])
        found = {name: value for name, value in headers.items() if name.startswith("x-amzn-sagemaker")}
        attributes = {"x-amzn-sagemaker-custom-attributes": headers.get("x-amzn-sagemaker-custom-attributes", "")}
        if "parts" in payload:
            return Response(self.parts(payload), headers=attributes)
        return Response({"payload": payload, "headers": found}, headers=attributes)

    def parts(self, payload):
        yield from payload["parts"]
        if "then" in payload:
            raise ValueError("half way")
"""

WORD = """
class Predictor:
    def __init__(self, config):
        self.word = config["word"]

    def predict(self, payload):
        return self.word
"""

FILE = """
- name: Echo
  predictor: {path: predictor.py}
- name: price
  variants:
    - {name: champion, weight: 4, predictor: {path: word.py, config: {word: one}}}
    - {name: challenger, predictor: {path: word.py, config: {word: two}}}
"""

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def yard(iris_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "predictor.py").write_text(ECHO)
    (folder / "word.py").write_text(WORD)
    (folder / "modelyard.yaml").write_text(FILE)
    with a_yard() as yard:
        client = yard.client()
        client.deploy(folder / "modelyard.yaml")
        client.deploy(iris_model, name="iris")
        client.deploy(_many_models(folder, iris_model))
        for name in ("Echo", "iris", "price-champion", "price-challenger", "many"):
            assert client.wait_endpoint(name).state == "live"
        yield yard


@pytest.fixture(scope="module")
def ask(yard: Yard) -> Ask:
    """Runs a case of `client.py`; `under` is put behind the yard's address."""
    python = guest_python("boto3")
    return lambda case, under="", *more: _run(python, yard, case, under, *more)


def _many_models(folder: Path, model: Path) -> Path:
    """The yard file of an endpoint over a folder with one model, as an archive and as a file below it."""
    models = folder / "models"
    (models / "eu").mkdir(parents=True)
    shutil.copy(model, models / "eu" / "iris.joblib")
    with tarfile.open(models / "iris.tar.gz", "w:gz") as opened:
        opened.add(model, "model.joblib")
    place = folder / "many.yaml"
    place.write_text("- name: many\n  models: {dir: models}\n")
    return place


def _run(python: str, yard: Yard, case: str, under: str, *more: str) -> Any:
    command = [python, str(CLIENT), yard.url + under, case, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("under", ["", "/aws"], ids=["plain", "under /aws"])
def test_every_header_of_invoke_endpoint_goes_there_and_back(ask: Ask, under: str) -> None:
    answer = ask("invoke", under)
    assert answer["status"] == 200
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"]
    assert answer["CustomAttributes"] == "trace=17"
    assert answer["body"]["payload"] == {"n": 1}
    assert answer["body"]["headers"] == {
        "x-amzn-sagemaker-custom-attributes": "trace=17",
        "x-amzn-sagemaker-target-model": "one.tar.gz",
        "x-amzn-sagemaker-inference-id": "inference-17",
    }


@pytest.mark.parametrize("under", ["", "/aws"], ids=["plain", "under /aws"])
def test_a_target_variant_answers_and_weights_say_who_does_else(ask: Ask, under: str) -> None:
    answer = ask("targets_variants", under)
    assert Counter(answer["shared"]) == {"champion": 8, "challenger": 2}
    assert answer["named"] == {"champion": "one", "challenger": "two"}


def test_a_variant_that_is_not_there_is_a_validation_error(ask: Ask) -> None:
    answer = ask("misses_a_variant")
    assert (answer["status"], answer["error"]["Code"]) == (400, "ValidationError")


@pytest.mark.parametrize("under", ["", "/aws"], ids=["plain", "under /aws"])
def test_an_invocation_is_queued_with_its_body_elsewhere_and_its_result_fetched(
    ask: Ask, yard: Yard, under: str
) -> None:
    body = b'{"n": 2}'
    digest = hashlib.sha256(body).hexdigest()
    httpx.put(f"{yard.url}/api/v1/artifacts/{digest}", content=body, headers={"x-api-key": yard.key}).raise_for_status()
    answer = ask("invoke_async", under, f"artifact://{digest}")
    assert (answer["status"], answer["InferenceId"]) == (202, "queued-17")
    assert answer["FailureLocation"].endswith("/failure")
    result = eventually(lambda: (one := httpx.get(answer["OutputLocation"])).status_code == 200 and one.json())
    assert result["payload"] == {"n": 2}
    assert result["headers"]["x-amzn-sagemaker-custom-attributes"] == "trace=19"


def test_a_body_in_a_place_that_the_yard_cannot_read_is_a_validation_error(ask: Ask) -> None:
    answer = ask("invoke_async_from_elsewhere")
    assert (answer["status"], answer["error"]["Code"]) == (400, "ValidationError")


def test_a_bare_model_answers_csv(ask: Ask) -> None:
    answer = ask("bare")
    assert (answer["body"].strip(), answer["ContentType"]) == ("0", "text/csv")


@pytest.mark.parametrize("under", ["", "/aws"], ids=["plain", "under /aws"])
def test_a_streamed_answer_arrives_part_by_part(ask: Ask, under: str) -> None:
    answer = ask("stream", under)
    assert answer["parts"] == ["a", "b", "ü"]
    assert answer["ContentType"] == "text/plain; charset=utf-8"
    assert answer["CustomAttributes"] == "trace=18"
    assert answer["InvokedProductionVariant"]


def test_an_answer_in_one_piece_is_a_stream_of_one_part(ask: Ask) -> None:
    answer = ask("stream_of_one")
    assert json.loads(answer["parts"][0])["payload"] == {"n": 1}
    assert answer["ContentType"] == "application/json"


def test_a_stream_that_breaks_off_ends_with_a_model_stream_error(ask: Ask) -> None:
    answer = ask("stream_breaks")
    assert answer["parts"] == ["a"]
    assert answer["error"]["Code"] == "ModelStreamError"


def test_what_fails_before_the_first_part_is_a_model_error(ask: Ask) -> None:
    assert ask("stream_fails")["raised"] == "ModelError"


def test_a_predictor_that_raises_is_a_model_error_with_the_original_status(ask: Ask) -> None:
    answer = ask("raises")
    assert (answer["raised"], answer["status"], answer["OriginalStatusCode"]) == ("ModelError", 424, 500)
    assert "ValueError" in answer["OriginalMessage"]
    assert answer["LogStreamArn"].startswith("arn:aws:logs:")
    assert answer["LogStreamArn"].endswith("/Echo")


def test_a_predictor_that_answers_with_an_error_is_a_model_error_with_what_it_said(ask: Ask) -> None:
    answer = ask("answers_an_error")
    assert (answer["raised"], answer["status"], answer["OriginalStatusCode"]) == ("ModelError", 424, 418)
    assert "teapot" in answer["OriginalMessage"]


def test_a_body_that_the_model_cannot_read_is_a_model_error(ask: Ask) -> None:
    answer = ask("unreadable")
    assert (answer["raised"], answer["OriginalStatusCode"]) == ("ModelError", 415)


def test_an_endpoint_that_is_not_there_is_a_validation_error(ask: Ask) -> None:
    answer = ask("missing")
    assert (answer["status"], answer["error"]["Code"]) == (400, "ValidationError")
    assert "nowhere" in answer["error"]["Message"]


def test_a_body_over_the_limit_is_refused_with_413(ask: Ask) -> None:
    assert ask("too_large")["status"] == 413


@pytest.mark.parametrize("case", ["target_model", "target_model_of_a_folder"])
def test_target_model_chooses_one_of_many(ask: Ask, case: str) -> None:
    answer = ask(case)
    assert (answer["status"], answer["body"]) == (200, [0])


@pytest.mark.parametrize(
    ("case", "says"),
    [("no_target_model", "missing a target model"), ("unknown_target_model", "no model missing.tar.gz")],
)
def test_a_request_for_no_model_that_there_is_is_a_validation_error(ask: Ask, case: str, says: str) -> None:
    answer = ask(case)
    assert (answer["status"], answer["error"]["Code"]) == (400, "ValidationError")
    assert says in answer["error"]["Message"]
