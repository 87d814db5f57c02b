"""What Cortex's predictors have beside `predict`: debug, tracker, post_predict, and answers of Starlette's."""

import pytest

from tests.contract.worker.replica_harness import Place, Template, wait_until

ECHO = "class PythonPredictor:\n    def __init__(self, config):\n        pass\n    def predict(self, payload):\n"


def test_debug_prints_payload_and_prediction_under_the_requests_id(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ECHO + "        return {'sum': sum(payload)}\n")) as replica:
        client = replica.connect()
        assert client.hello["wants"] == ["query"]
        client.ask([1, 2], id="quiet", query="debug=false")
        client.ask([3, 4], id="loud", query="debug=true")
        assert "request loud: payload: [3, 4]\nrequest loud: prediction: {'sum': 7}\n" in replica.output
        assert "quiet" not in replica.output


def test_a_handler_answers_as_cortexs_later_versions_have_it(place: Place, template: Template) -> None:
    code = """
class Handler:
    def __init__(self, config):
        pass
    def handle_post(self, payload, query_params, headers):
        return [payload, query_params["q"], headers["x-a"]]
"""
    with template.replica(place, place.package(code)) as replica:
        assert replica.connect().ask(1, query="q=2", headers=[["X-A", "b"]]).json == [1, "2", "b"]


def test_outside_of_a_job_there_is_none_to_tell_of(place: Place, template: Template) -> None:
    code = """
class PythonPredictor:
    def __init__(self, config, job_spec):
        self.job = job_spec
    def predict(self, payload, batch_id):
        return [self.job, batch_id]
"""
    with template.replica(place, place.package(code)) as replica:
        assert replica.connect().ask(1, id="r-1").json == [None, "r-1"]


@pytest.mark.parametrize(
    ("key", "model_type", "prediction", "tracked"),
    [
        (None, "classification", "'setosa'", "setosa"),
        ("class", "classification", "{'class': 2}", "2"),
        (None, "regression", "2.5", 2.5),
        ("price", "regression", "{'price': 3}", 3.0),
        (None, "regression", "[1.5]", 1.5),
    ],
)
def test_a_tracker_says_in_the_answer_what_it_saw(
    place: Place, template: Template, key: str | None, model_type: str, prediction: str, tracked: object
) -> None:
    tracker = {"key": key, "model_type": model_type}
    package = place.package(ECHO + f"        return {prediction}\n", tracker=tracker)
    with template.replica(place, package) as replica:
        assert replica.connect().ask(1).meta["tracked"] == tracked


def test_what_cannot_be_tracked_is_said_once_and_answered_all_the_same(place: Place, template: Template) -> None:
    tracker = {"key": "class", "model_type": "classification"}
    with template.replica(place, place.package(ECHO + "        return payload\n", tracker=tracker)) as replica:
        client = replica.connect()
        for _ in range(3):
            answer = client.ask({"other": 1})
            assert (answer.status, answer.json, "tracked" in answer.meta) == (200, {"other": 1}, False)
        assert replica.output.count("cannot track a prediction") == 1


POST = """
class Predictor:
    {word}def predict(self, payload):
        return {{"is": payload}}

    {word}def post_predict(self, response, payload, query_params, headers):
        print("posted", response, payload, query_params, headers.get("x-a"), flush=True)
        if payload == 0:
            raise ValueError("after all")
"""


@pytest.mark.parametrize(("word", "threads"), [("", 1), ("", 2), ("async ", 1)])
def test_post_predict_runs_after_the_answer(place: Place, template: Template, word: str, threads: int) -> None:
    with template.replica(place, place.package(POST.format(word=word)), threads=threads) as replica:
        client = replica.connect()
        assert client.ask(1, query="q=2", headers=[["X-A", "b"]]).json == {"is": 1}
        wait_until(lambda: "posted {'is': 1} 1 {'q': '2'} b" in replica.output, "post_predict")
        assert client.ask(0).status == 200
        wait_until(lambda: "post_predict raised\nTraceback" in replica.output, "its failure in the log")
        assert client.ask(2).status == 200


def test_a_response_of_starlettes_is_sent_as_it_is(place: Place, template: Template) -> None:
    code = """
from starlette.responses import HTMLResponse, StreamingResponse

class PythonPredictor:
    def predict(self, payload):
        if payload:
            return HTMLResponse("<p>", 201, {"x-a": "b"})
        return StreamingResponse(iter(["a", "b"]), media_type="text/plain")
"""
    with template.replica(place, place.package(code)) as replica:
        client = replica.connect()
        answer = client.ask(1)
        assert (answer.status, answer.body, answer.meta["headers"]) == (201, b"<p>", [["x-a", "b"]])
        assert answer.meta["type"].startswith("text/html")
        assert client.ask(0).body == b"ab"
