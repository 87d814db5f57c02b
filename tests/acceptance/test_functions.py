"""Functions, and an API gateway in front of them, in a real yard."""

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from modelyard.processes.gateway import TARGETS
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

APP = """
import json, os, time
SEEN = []
def handler(event, context):
    if event.get("raise"):
        raise ValueError(event["raise"])
    time.sleep(event.get("sleep", 0))
    if event.get("note"):
        open(event["note"], "a").write(f"{event['note']}\\n")
        raise RuntimeError("not this time")
    return {"event": event, "name": context.function_name, "pid": os.getpid()}

def page(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": json.dumps(event)}

def web(event, context):
    if event["rawPath"].endswith("/boom"):
        raise ValueError("boom")
    cookies = ["a=1; Domain=localhost", "modelyard_session=fixed; Path=/"]
    return {"statusCode": 201, "body": json.dumps(event), "cookies": cookies}

def clock(event, context):
    headers = {"cache-control": "private"} if event["rawQueryString"] == "mine" else {}
    return {"statusCode": 200, "headers": headers, "body": str(time.time())}
"""

YARD_FILE = """
- {name: echo, kind: function, handler: app.handler, timeout: 1s, concurrency: 2, memory: 512Mi}
- {name: web, kind: function, handler: app.web}
- {name: page, kind: function, handler: app.page}
- {name: clock, kind: function, handler: app.clock}
- {name: pages, kind: site, path: pages}
- name: shop
  kind: gateway
  stages: {$default: {}, test: {color: red}}
  cors: {origins: ["https://page.example"], headers: [content-type]}
  keys: [{name: partner, secret: partner-key, plan: small}]
  plans: {small: {rate: 0.001, burst: 2}}
  authorizers: {people: {issuer: "ISSUER", audience: [shop]}}
  routes:
    GET /items/{id}: function/web
    POST /checked: {function: web, body: {type: object, required: [a]}}
    GET /keyed: {function: web, key: true}
    GET /clock: {function: clock, cache: 60s}
    GET /mine: {function: web, authorizer: people}
    GET /scoped: {function: web, authorizer: people, scopes: [write]}
    GET /allowed/{proxy+}: {url: "ISSUER/{proxy}"}
    GET /control: {url: "YARD/api/v1/status"}
    GET /metadata: {url: "http://169.254.169.254/latest/"}
    GET /boom: function/web
    GET /page: {function: page, cache: 60s}
    GET /docs/{proxy+}: site/pages
    ANY /own/{proxy+}: {site: pages, authorizer: people}
"""


class Issuer(http.server.BaseHTTPRequestHandler):
    """Signs tokens, and stands for a server of somebody else."""

    key = rsa.generate_private_key(65537, 2048)
    url = ""

    def do_GET(self) -> None:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [{**public, "kid": "k1", "use": "sig"}]},
        }
        redirect = self.path == "/away"
        body = json.dumps(answers.get(self.path, {"path": self.path, "headers": dict(self.headers)})).encode()
        self.send_response(302 if redirect else 200)
        if redirect:
            self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's)
        """Silent."""

    @classmethod
    def token(cls, **changed: Any) -> str:
        claims = {"iss": cls.url, "aud": "shop", "sub": "u-1", "exp": time.time() + 60, "scope": "read", **changed}
        return jwt.encode(claims, cls.key, algorithm="RS256", headers={"kid": "k1"})


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    folder = tmp_path_factory.mktemp("functions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TARGETS, Issuer.url.removeprefix("http://"))
        yard = Yard(folder / "home").up()
    (folder / "app.py").write_text(APP)
    (folder / "pages" / "guide").mkdir(parents=True)
    for page in ("index", "guide/index"):
        (folder / "pages" / f"{page}.html").write_text(f"<title>{page}</title>")
    (folder / "modelyard.yaml").write_text(YARD_FILE.replace("ISSUER", Issuer.url).replace("YARD", yard.url))
    assert yard.command("secret", "set", "partner-key", "-", stdin="not-to-be-guessed").returncode == 0
    deployed = yard.command("deploy", str(folder))
    assert deployed.returncode == 0, deployed.stderr
    eventually(lambda: httpx.get(f"{yard.url}/gateways/shop/items/1").status_code == 201)
    yield yard
    yard.down()
    yard.close()
    server.shutdown()
    server.server_close()


def invoke(yard: Yard, event: Any, path: str = "/functions/echo", **headers: str) -> httpx.Response:
    return httpx.post(f"{yard.url}{path}", json=event, headers=headers, timeout=30)


def api(yard: Yard, path: str, method: str = "GET", **given: Any) -> httpx.Response:
    return httpx.request(method, f"{yard.url}/gateways/shop{path}", timeout=30, **given)


def test_a_function_answers_fails_and_is_broken_off_as_lambda_has_it(yard: Yard) -> None:
    assert invoke(yard, {"a": 1}).json()["event"] == {"a": 1}
    failed = invoke(yard, {"raise": "no"})
    assert (failed.status_code, failed.headers["x-amz-function-error"]) == (500, "Unhandled")
    assert failed.json()["errorType"] == "ValueError"
    late = invoke(yard, {"sleep": 5})
    assert (late.status_code, late.json()["errorType"]) == (504, "Sandbox.Timedout")
    by_lambda = invoke(
        yard, {"raise": "no"}, "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax%3A0%3Afunction%3Aecho/invocations",
        **{"x-amz-log-type": "Tail"},
    )  # fmt: skip
    assert by_lambda.status_code == 200
    tail = base64.b64decode(by_lambda.headers["x-amz-log-result"]).decode()
    assert tail.startswith("START RequestId: ")
    assert "[ERROR] ValueError: no" in tail
    dry = invoke(yard, {}, "/2015-03-31/functions/echo/invocations", **{"x-amz-invocation-type": "DryRun"})
    assert dry.status_code == 204


def test_beyond_its_concurrency_a_function_refuses_at_once(yard: Yard) -> None:
    found: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: found.append(invoke(yard, {"sleep": 0.6}))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.status_code for one in found) == [200, 200, 429, 429]
    refused = next(one for one in found if one.status_code == 429)
    assert refused.headers["x-amzn-errortype"] == "TooManyRequestsException"


def test_an_event_that_is_queued_is_tried_again_where_it_fails(yard: Yard, tmp_path: Path) -> None:
    note = tmp_path / "note"
    assert invoke(yard, {"note": str(note)}, **{"x-amz-invocation-type": "Event"}).status_code == 202
    eventually(lambda: note.exists() and len(note.read_text().splitlines()) >= 2, saying="a second attempt")


def test_a_request_goes_in_as_an_event_and_comes_out_as_an_answer(yard: Yard) -> None:
    said = {
        "origin": "https://page.example",
        "cookie": "c=1",
        "x-forwarded-for": "6.6.6.6",
        "x_forwarded_proto": "https",
    }
    found = api(yard, "/test/items/7%20x?a=1&a=2", headers=said)
    event = found.json()
    assert (found.status_code, found.headers["set-cookie"]) == (201, "a=1")
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    assert found.headers["access-control-allow-origin"] == "https://page.example"
    assert event["pathParameters"] == {"id": "7 x"}
    assert event["requestContext"]["stage"] == "test"
    assert event["stageVariables"] == {"color": "red"}
    way = {name: value for name, value in event["headers"].items() if "forwarded" in name}
    assert way == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": yard.url.rpartition(":")[2],
        "x-forwarded-proto": "http",
    }
    by_host = httpx.get(f"{yard.url}/items/1", headers={"host": f"shop.localhost:{yard.url.rpartition(':')[2]}"})
    assert by_host.json()["rawPath"] == "/items/1"


def test_what_is_wrong_is_told_in_the_gateways_words_and_to_pages_too(yard: Yard) -> None:
    page = {"origin": "https://page.example"}
    for path, method, body, status in (
        ("/boom", "GET", None, 500),
        ("/nothing", "GET", None, 404),
        ("/checked", "POST", b'{"b": 1}', 400),
        ("/checked", "POST", b"{", 400),
        ("/checked", "POST", b"[" * 100_000, 400),
        ("/keyed", "GET", None, 403),
        ("/mine", "GET", None, 401),
    ):
        found = api(yard, path, method, content=body, headers=page)
        assert (path, found.status_code) == (path, status)
        assert "message" in found.json()
        assert found.headers["access-control-allow-origin"] == "https://page.example"
    preflight = api(yard, "/mine", "OPTIONS", headers={**page, "access-control-request-method": "GET"})
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "content-type")


def test_a_key_is_good_for_what_its_plan_allows(yard: Yard) -> None:
    statuses = [api(yard, "/keyed", headers={"x-api-key": "not-to-be-guessed"}).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert api(yard, "/keyed", headers={"x-api-key": "another"}).status_code == 403


def test_what_is_left_of_a_plan_is_told(yard: Yard) -> None:
    (found,) = yard.client().usage("shop").usages
    assert (found.key, found.plan, found.rate, found.burst) == ("partner", "small", 0.001, 2)
    assert (found.used, found.left, found.at_once, found.resets_at) == (2, None, 0, None)
    told = yard.command("usage", "shop")
    assert told.stdout.splitlines()[1].split()[:5] == ["partner", "small", "2", "this", "day"]


def test_a_site_has_its_place_behind_a_gateway(yard: Yard) -> None:
    page = {"accept": "text/html", "origin": "https://page.example"}
    for path, title in (("/docs/", "index"), ("/docs/index.html", "index"), ("/docs/guide/", "guide/index")):
        found = api(yard, path, headers=page)
        assert (path, found.status_code, found.text) == (path, 200, f"<title>{title}</title>")
        assert found.headers["access-control-allow-origin"] == "https://page.example"
        assert "sandbox" in found.headers["content-security-policy"], "it shares the console's origin here"
    again = api(yard, "/docs/", headers={"if-none-match": found.headers["etag"]})
    assert (again.status_code, found.headers["cache-control"]) == (200, "no-cache"), "that is another file's tag"
    for path in ("/docs", "/docs/guide"):
        assert api(yard, path, follow_redirects=True).url.path == f"/gateways/shop{path}/"
    assert api(yard, "/docs/../../etc/passwd").status_code == 404
    assert api(yard, "/docs/%2e%2e/%2e%2e/etc/passwd").status_code == 404
    own = httpx.get(f"{yard.url}/docs/guide/", headers={"host": "shop.localhost", **page})
    assert (own.text, "content-security-policy" in own.headers) == ("<title>guide/index</title>", False)
    assert api(yard, "/own/").status_code == 401
    mine = api(yard, "/own/", headers={"authorization": f"Bearer {Issuer.token()}"})
    assert (mine.text, mine.headers["cache-control"]) == ("<title>index</title>", "private, no-cache")
    assert api(yard, "/own/", "PUT", headers={"authorization": f"Bearer {Issuer.token()}"}).status_code == 405


def test_the_same_question_gets_the_answer_that_is_kept(yard: Yard) -> None:
    assert api(yard, "/clock?a=1&b=2").content == api(yard, "/clock?b=2&a=1").content
    assert api(yard, "/clock?a=1&b=2").content != api(yard, "/clock?a=2").content
    assert api(yard, "/clock?mine").content != api(yard, "/clock?mine").content, "it says that it is not to be kept"
    shown = {"authorization": "Bearer of-the-functions-own"}
    assert api(yard, "/clock?a=2", headers=shown).content != api(yard, "/clock?a=2").content, "somebody's own"


def test_only_a_token_that_the_issuer_signed_for_us_is_believed(yard: Yard) -> None:
    def shown(token: str, path: str = "/mine") -> int:
        return api(yard, path, headers={"authorization": f"Bearer {token}"}).status_code

    good = Issuer.token()
    heard = api(yard, "/mine", headers={"authorization": f"Bearer {good}"}).json()["requestContext"]
    assert heard["authorizer"]["jwt"]["claims"]["sub"] == "u-1"
    assert shown(good, "/scoped") == 403
    assert shown(Issuer.token(scope="read write"), "/scoped") == 201
    assert shown(Issuer.token(aud="somebody-else")) == 401
    assert shown(Issuer.token(iss="http://127.0.0.1:1")) == 401
    assert shown(Issuer.token(exp=time.time() - 3600)) == 401
    claims = {"iss": Issuer.url, "aud": "shop", "exp": time.time() + 60}
    assert shown(jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})) == 401  # pyright: ignore[reportArgumentType] (as an attacker would)
    assert shown(jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "k1"})) == 401
    head, _, signature = good.split(".")
    other = Issuer.token(sub="u-2").split(".")[1]
    assert shown(f"{head}.{other}.{signature}") == 401


def test_a_url_is_asked_and_this_machine_is_not(yard: Yard) -> None:
    found = api(yard, "/allowed/a/b%20c?q=1", headers={"cookie": "modelyard_session=secret; mine=1"})
    assert found.json()["path"] == "/a/b%20c?q=1"
    assert found.json()["headers"]["cookie"] == "mine=1"
    assert api(yard, "/allowed/..%2f..%2fetc").status_code == 400
    assert api(yard, "/allowed/away").status_code == 302
    for path in ("/control", "/metadata"):
        refused = api(yard, path)
        assert (refused.status_code, refused.json()) == (500, {"message": "Internal Server Error"})
    assert "loopback" in yard.log("gateway")
    assert "link-local" in yard.log("gateway")


def test_a_page_is_no_page_of_the_yards_and_hears_nothing_that_opens_it(yard: Yard) -> None:
    shown = api(yard, "/page", headers={"cookie": "modelyard_session=secret; mine=1"})
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.json()["cookies"] == ["mine=1"]
    own = httpx.get(f"{yard.url}/page?x=1", headers={"host": f"shop.localhost:{yard.url.rpartition(':')[2]}"})
    assert "content-security-policy" not in own.headers
    kept = api(yard, "/page?x=1")
    assert "sandbox" in kept.headers["content-security-policy"], "what is kept for the other origin is not for this one"


def test_a_function_sets_no_cookie_that_is_the_yards_or_another_hosts(yard: Yard) -> None:
    assert api(yard, "/items/1").headers.get_list("set-cookie") == ["a=1"]


def test_the_gateway_describes_itself_and_writes_down_who_asked(yard: Yard) -> None:
    found = httpx.get(
        f"{yard.url}/api/v1/gateways/shop/openapi.json?stage=test", headers={"authorization": f"Bearer {yard.key}"}
    ).json()
    assert found["servers"] == [{"url": f"{yard.url}/gateways/shop/test"}]
    assert "/items/{id}" in found["paths"]
    log = yard.home / "log" / "gateways" / "shop.jsonl"
    lines = eventually(lambda: log.exists() and [json.loads(line) for line in log.read_text().splitlines()])
    assert {"routeKey", "status", "latencyMs", "ip"} <= set(lines[0])
