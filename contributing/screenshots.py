"""`python -m contributing.screenshots`: pictures of the console's pages for the documents, of a yard made for them.

Each page wide and narrow, light and dark, into docs/images/console. It trains, deploys, tunes and asks for about a
minute; whatever the pages show was really measured.
"""

import base64
import contextlib
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import httpx
import joblib
import numpy as np
from playwright.sync_api import Browser, Error
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelyard.sdk.client import Client
from tests.acceptance.browser import NARROW, WIDE, a_browser, a_context, enter
from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard

IMAGES = Path(__file__).parent.parent / "docs" / "images" / "console"
QUALITY = 40
"""Of WebP: text stays sharp, and all pictures together stay under 4 MB."""

ASKING_SECONDS = 120.0
CAPTURE_TRIES = 5

OTHER_KINDS = ("wide-dark", "narrow-light", "narrow-dark")
"""Of pictures, beside those that are wide and light."""

HOUSE = {"rooms": 3, "area": 80.0}

YARD_FILE = """\
- name: price-training
  kind: training
  algorithm: xgboost
  inputs: {train: train.csv, validation: validation.csv}
  hyperparameters: {num_round: 60}
  model: price
  schedule: 0 4 * * 1
- name: price-tuning
  kind: tuning
  training: price-training
  objective: {metric: validation-rmse, direction: minimize}
  max_trials: 12
  parallel_trials: 2
  parameters: {max_depth: {min: 2, max: 8}, eta: {min: 0.02, max: 0.5, scaling: logarithmic}}
- name: iris
  model: iris.joblib
  autoscaling: {min_replicas: 1, max_replicas: 3}
- name: house-price
  predictor: {path: predictor.py}
  capture: {sample: 100%}
- name: rows
  kind: batch
  model: iris.joblib
  input: rows
  output: scored
  schedule: 0 3 * * *
- name: pickups
  kind: app
  command: python board.py
  access: {groups: [analysts]}
- name: handbook
  kind: site
  path: pages
- name: area
  kind: function
  handler: area.handler
- name: shop
  kind: gateway
  routes:
    GET /area/{shape}: function/area
    POST /price: {endpoint: house-price, key: true, body: {type: object, required: [area]}}
    GET /docs/{proxy+}: site/handbook
  stages: {$default: {}, test: {currency: EUR}}
  cors: {origins: ["https://shop.example.com"]}
  keys: [{name: partner, secret: partner-key, plan: basic}, {name: own-page, secret: page-key, plan: small}]
  plans: {basic: {rate: 10, burst: 20, quota: 10000, per: day}, small: {rate: 1, quota: 500}}
- name: summaries
  predictor: {path: broken.py}
- name: slow-answers
  kind: alarm
  endpoint: iris
  metric: latency_p99
  comparison: ">"
  threshold: 0.5
"""

PREDICTOR = """\
import time
import pydantic

class House(pydantic.BaseModel):
    rooms: int
    area: float
    garden: bool = False
    city: str = "Ghent"

class Predictor:
    def __init__(self, config):
        print("ready to price houses")

    def predict(self, payload: House) -> dict:
        print("a house of", payload.area, "m2 in", payload.city)
        time.sleep(0.004)
        return {"price": 2100 * payload.area + 5000 * payload.rooms}
"""

BOARD = """\
import http.server, os

class Board(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>Pickups</h1>")

print("a board for whoever looks")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Board).serve_forever()
"""

FUNCTION = """\
import math

def handler(event, context):
    radius = float((event.get("queryStringParameters") or {}).get("radius", event.get("radius", 1)))
    print("the area of a circle of", radius)
    return {"area": math.pi * radius ** 2}
"""

BROKEN = """\
class Predictor:
    def __init__(self, config):
        raise OSError("no licence for the tokenizer")

    def predict(self, payload):
        return payload
"""

PAGES = {
    "overview": "",
    "endpoints": "/endpoints",
    "endpoint": "/endpoints/house-price?since=15m",
    "apps": "/apps",
    "app": "/apps/pickups",
    "sites": "/sites",
    "site": "/sites/handbook",
    "functions": "/functions",
    "function": "/functions/area",
    "gateways": "/gateways",
    "gateway": "/gateways/shop",
    "runs": "/runs",
    "jobs": "/jobs",
    "train": "/jobs/start",
    "transforming": "/jobs/transform",
    "transform": "/jobs/transforms/iris-transform-1",
    "models": "/models",
    "versions": "/models/price",
    "packages": "/packages",
    "package": "/packages/iris",
    "resources": "/resources",
    "resource": "/resources/training/price-training",
    "batch": "/resources/batch/rows",
    "alarms": "/alarms",
    "alarm": "/alarms/slow-answers",
    "events": "/events",
    "disk": "/surplus",
    "user": "/people/grace@example.org",
    "sign-in": "/providers",
    "keys": "/keys",
    "sessions": "/sessions",
    "secrets": "/secrets",
    "password": "/password",
    "rollout": "/endpoints/price",
    "comparison": "/runs/compare?run=price-training-1&run=price-training-2&run=price-training-3&run=price-training-4",
    "run": "/runs/price-training-2",
    "tuning": "/jobs/tunings/price-tuning-1",
    "model": "/models/price/2",
    "deploy": "/deploy",
    "log": "/endpoints/house-price/logs",
    "people": "/people",
    "audit": "/audit",
}


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as place,
        a_yard() as yard,
        a_browser() as browser,
        asking(fill(yard, Path(place)), ASKING_SECONDS) as asked,
    ):
        asked.wait(ASKING_SECONDS)
        for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
            for dark in (False, True):
                take(browser, yard, size, f"{width}-{'dark' if dark else 'light'}", dark=dark)
    total = sum(file.stat().st_size for file in IMAGES.glob("*.webp"))
    (IMAGES / "README.md").write_text(gallery())
    sys.stdout.write(f"{len([*IMAGES.glob('*.webp')])} pictures, {total / 1e6:.1f} MB\n")
    return 0


def fill(yard: Yard, folder: Path) -> Client:
    """Trains, tunes, deploys, and lets people in."""
    write_files(folder)
    client = yard.client()
    client.set_secret("partner-key", "not-to-be-guessed-partner")
    client.set_secret("page-key", "not-to-be-guessed-page")
    let_in(client)
    client.deploy(folder / "modelyard.yaml", project="shop")
    runs = [
        client.train(
            "price-training",
            algorithm="xgboost",
            inputs={"train": "train.csv", "validation": "validation.csv"},
            hyperparameters={"max_depth": depth, "eta": eta, "num_round": 60},
            model="price",
            source=folder,
            project="shop",
        )["id"]
        for depth, eta in ((2, 0.05), (4, 0.2), (6, 0.4), (8, 0.1))
    ]
    for run in runs:
        client.wait_run(run)
    file = client.read_file(folder / "modelyard.yaml")
    (tuning,) = file.tunings
    client.wait_tuning(client.start_tuning(tuning, file, project="shop").id)
    put_in_steps(client, folder)
    for name in ("iris", "house-price", "area", "pickups"):
        client.wait_endpoint(name)
    transform = client.transform("endpoint/iris", folder / "rows", folder / "scored", project="shop")
    client.wait_transform(transform.id)
    for shape in range(7):
        client.predict("area", {"radius": shape})
        httpx.post(f"{yard.url}/gateways/shop/price", json=HOUSE, headers={"x-api-key": "not-to-be-guessed-partner"})
    return client


def write_files(folder: Path) -> None:
    # The stubs of scikit-learn and joblib are partial.
    features, labels = cast("tuple[Any, Any]", load_iris(return_X_y=True))
    classifier: Any = LogisticRegression(max_iter=1000)
    fitted = classifier.fit(features, labels)
    joblib.dump(fitted, folder / "iris.joblib")  # pyright: ignore[reportUnknownMemberType] (as said)
    numbers = np.random.default_rng(1).normal(size=(400, 4))
    target = 3 * numbers[:, 0] - 2 * numbers[:, 1] + numbers[:, 2] ** 2 + 0.2 * numbers[:, 3]
    rows = [",".join(f"{value:.4f}" for value in (y, *x)) for y, x in zip(target, numbers[:, :3], strict=True)]
    (folder / "train.csv").write_text("\n".join(rows[:300]) + "\n")
    (folder / "validation.csv").write_text("\n".join(rows[300:]) + "\n")
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "board.py").write_text(BOARD)
    (folder / "area.py").write_text(FUNCTION)
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("<title>Handbook</title><h1>Handbook</h1>")
    (folder / "rows").mkdir()
    for day in range(3):
        np.savetxt(folder / "rows" / f"day-{day}.csv", features, delimiter=",", fmt="%.1f")
    (folder / "broken.py").write_text(BROKEN)
    (folder / "modelyard.yaml").write_text(YARD_FILE)


def put_in_steps(client: Client, folder: Path) -> None:
    """A version of an endpoint that is on its way."""
    client.promote("price:2", "champion")
    client.decide_model("price:2", "approved", "checked on May's orders")
    client.tag_model("price:2", {"owner": "pricing"})
    steps = folder / "price.yaml"
    steps.write_text("- name: price\n  model: price:1\n")
    client.deploy(steps, project="shop")
    client.wait_endpoint("price")
    steps.write_text(
        "- name: price\n  model: price@champion\n  update_strategy: {type: canary, steps: [10%, 50%], bake_time: 20m}\n"
    )
    client.deploy(steps, project="shop")


def let_in(client: Client) -> None:
    client.access.add_user("ada@example.org", name="Ada", grants=[grant("admin")])
    client.access.add_user("grace@example.org", name="Grace", grants=[grant("deployer", project="shop")])
    client.access.put_group("analysts", [grant("viewer", project="shop")])
    client.access.put_member("analysts", "grace@example.org", member=True)
    client.access.make_key("nightly report", [grant("caller", resource="endpoint/iris")], 30 * 86400.0)
    client.access.put_provider(
        "company",
        issuer="https://login.example.com",
        client_id="modelyard",
        label="Example's account",
        admits=["example.com"],
        groups={"Data-Science": "analysts"},
    )


def grant(role: str, project: str | None = None, resource: str | None = None) -> dict[str, str | None]:
    return {"role": role, "project": project, "resource": resource}


@contextlib.contextmanager
def asking(client: Client, limit_seconds: float) -> Generator[threading.Event]:
    """Predictions now and then, for as long as the block lasts."""
    over = threading.Event()

    def ask() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            for _ in range(3 + turn % 7):
                client.predict("house-price", {"rooms": 2 + turn % 4, "area": 60.0 + turn % 50})
                client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])
            over.wait(0.2)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join(limit_seconds)


def take(browser: Browser, yard: Yard, size: tuple[int, int], kind: str, *, dark: bool) -> None:
    context = a_context(browser, size, dark=dark)
    page = context.new_page()
    IMAGES.mkdir(parents=True, exist_ok=True)
    session: Any = context.new_cdp_session(page)

    def shoot(name: str, path: str) -> None:
        answer = page.goto(f"{yard.url}/console{path}")
        assert answer is not None
        assert answer.ok or name == "login", f"cannot take a picture of {path}: {answer.status} {page.content()[:500]}"
        page.wait_for_load_state("load")
        (IMAGES / f"{name}-{kind}.webp").write_bytes(captured(session))

    shoot("login", "")
    enter(page, yard)
    for name, path in PAGES.items():
        shoot(name, path)
    context.close()


def gallery() -> str:
    """The page that shows what there is, wide and light, with links to the others."""
    lines = ["# The console in pictures", "", "`python -m contributing.screenshots` makes all of it anew.", ""]
    for name, path in {"login": "/login", **PAGES}.items():
        others = ", ".join(f"[{kind.replace('-', ' and ')}]({name}-{kind}.webp)" for kind in OTHER_KINDS)
        lines += [f"## `/console{path}`", "", f"![{name}]({name}-wide-light.webp)", "", others, ""]
    return "\n".join(lines).rstrip() + "\n"


def captured(session: Any) -> bytes:
    """What the window shows. A browser on a busy machine cannot always say."""
    for tries_left in reversed(range(CAPTURE_TRIES)):
        try:
            shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            return base64.b64decode(str(shot["data"]))
        except Error:
            if not tries_left:
                raise
    raise AssertionError("there is at least one try")


if __name__ == "__main__":
    sys.exit(main())
