"""ASGI and WSGI applications as predictors: the request as it came, streams, their start and end."""

import pytest
from modelyard_worker import frames

from tests.contract.worker.replica_harness import Place, Template, wait_until

ASGI = """
import asyncio, json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            what = (await receive())["type"]
            print(what, flush=True)
            scope["state"]["started"] = True
            await send({"type": what + ".complete"})
            if what == "lifespan.shutdown":
                return
    message = await receive()
    start = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"application/json"),
             (b"x-a", b"1"), (b"x-a", b"2")]}
    if scope["path"].endswith("/raise"):
        raise KeyError("EUR")
    if scope["path"].endswith("/page"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<p>"})
        return
    await send(start)
    if scope["path"].endswith("/stream"):
        try:
            for number in range(10 ** 9):
                await send({"type": "http.response.body", "body": b"%d\\n" % number, "more_body": True})
                await asyncio.sleep(0.001)
        finally:
            print("stream ended", flush=True)
    shown = [scope["method"], scope["path"], scope["root_path"], scope["query_string"].decode(),
             message["body"].decode(), dict(scope["state"]),
             {name.decode(): value.decode() for name, value in scope["headers"]}]
    await send({"type": "http.response.body", "body": json.dumps(shown).encode()})
"""


def test_an_asgi_application_gets_the_request_as_it_came(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ASGI)) as replica:
        client = replica.connect()
        assert client.hello["wants"] == ["headers", "query", "path"]
        headers = [["Content-Type", "text/x"], ["X-Request-Id", "r"], ["X-B", "3"]]
        answer = client.ask(b"abc", "text/x", method="PUT", path="/items/a%20b", query="a=1&a=2", headers=headers)
        assert (answer.status, answer.meta["headers"]) == (201, [["x-a", "1"], ["x-a", "2"]])
        sent = {"content-type": "text/x", "x-request-id": "r", "x-b": "3", "content-length": "3"}
        path = "/endpoints/price/items/a b"
        assert answer.json == ["PUT", path, "/endpoints/price", "a=1&a=2", "abc", {"started": True}, sent]


def test_a_plain_prediction_is_a_post_to_invocations(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ASGI)) as replica:
        assert replica.connect().ask(b"{}").json[:2] == ["POST", "/endpoints/price/invocations"]


def test_its_start_comes_before_the_first_request_and_its_end_after_the_last(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ASGI), stop_socket_seconds=0.1) as replica:
        client = replica.connect()
        assert "lifespan.startup" in replica.output
        client.ask(b"")
        replica.tell_to_leave()
        client.close()
        assert replica.wait_for_exit()["code"] == 0
        assert "lifespan.shutdown" in replica.output
        assert "Traceback" not in replica.output


def test_an_application_that_cannot_start_says_why(place: Place, template: Template) -> None:
    code = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""
    with template.replica(place, place.package(code)) as replica:
        assert "the application could not start: no database" in replica.wait_for_exit()["reason"]


def test_a_stream_flows_until_its_client_has_gone(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ASGI)) as replica:
        client = replica.connect()
        stream = client.request(b"", path="/stream")
        first = client.take()
        assert (first.type, first.flags & frames.END) == (frames.ANSWER, 0)
        assert client.take().type == frames.BODY
        client.send(frames.pack(frames.CANCEL, stream))
        wait_until(lambda: "stream ended" in replica.output, "the application hearing of it")


def test_what_an_application_raises_is_its_failure_and_in_the_log(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ASGI)) as replica:
        answer = replica.connect().ask(b"", path="/raise", id="abc")
        assert (answer.status, answer.meta["message"]) == (500, "KeyError: 'EUR'")
        assert "request abc: the predictor raised\nTraceback" in replica.output


WSGI = """
closed = []

class Answer:
    def __init__(self, parts):
        self.parts = parts
    def __iter__(self):
        return iter(self.parts)
    def close(self):
        print("closed", flush=True)

def application(environ, start_response):
    names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_X_B")
    body = environ["wsgi.input"].read()
    text = "|".join(environ.get(name, "") for name in names).encode() + b"|" + body
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Answer([b"a", b"b", b"c"])
    start_response("202 Accepted", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return Answer([text])
"""


def test_a_wsgi_application_gets_the_request_as_it_came(place: Place, template: Template) -> None:
    with template.replica(place, place.package(WSGI)) as replica:
        client = replica.connect()
        answer = client.ask(b"abc", "text/x", method="PUT", path="/a%20b", query="q=1", headers=[["x-b", "3"]])
        assert (answer.status, answer.body) == (202, b"PUT|/endpoints/price|/a b|q=1|text/x|3|abc")
        assert "closed" in replica.output
        assert client.ask(b"").body.startswith(b"POST|/endpoints/price|/invocations|")


def test_a_wsgi_applications_parts_are_streamed_and_closed(place: Place, template: Template) -> None:
    with template.replica(place, place.package(WSGI)) as replica:
        answer = replica.connect().ask(b"", path="/stream")
        assert (answer.body, answer.parts) == (b"abc", 4)
        wait_until(lambda: "closed" in replica.output, "its close")


@pytest.mark.parametrize("name", ["main", "predictor:main", "other:made.one", "other:make()"])
def test_an_application_is_found_by_its_name(place: Place, template: Template, name: str) -> None:
    other = "def one(environ, start):\n    start('200 OK', [])\n    return [b'x']\n"
    package = place.package(other.replace("one", "main"), app=name)
    made = "class made:\n    one = staticmethod(one)\ndef make():\n    return one\n"
    (package / "code" / "other.py").write_text(other + made)
    with template.replica(place, package) as replica:
        assert replica.connect().ask(b"").body == b"x"


def test_an_application_of_another_name_is_said_to_be_missing(place: Place, template: Template) -> None:
    with template.replica(place, place.package(WSGI, app="nothing")) as replica:
        assert "cannot find the application nothing" in replica.wait_for_exit()["reason"]
