"""The console in a real browser, over a real yard: what people do there from their first login on."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import (
    NARROW,
    WIDE,
    a_context,
    enter,
    grave_faults,
    overflow_pixels,
    transferred_bytes,
    watch,
)
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

PASSWORD = "correct horse battery"
PAGE_BYTES_MAX = 200_000

PREDICTOR = """
import pydantic

class House(pydantic.BaseModel):
    rooms: int
    area: float
    city: str = "Ghent"

class Predictor:
    def __init__(self, config):
        self.version = config["version"]

    def predict(self, payload: House) -> dict:
        print("a house in", payload.city)
        return {"price": 1000 * payload.area, "version": self.version}
"""

YARD_FILE = """
- name: house
  predictor: {{path: predictor.py, config: {{version: {version}}}}}
  update_strategy: {{type: canary, steps: [50%], bake_time: 1h}}
"""


CAPTURED = """
- name: kept
  predictor: {path: predictor.py}
  capture: {sample: 100%}
"""

SCRIPT = """
import sys
from modelyard_worker.metrics import log_metric
eta = float(sys.argv[sys.argv.index("--eta") + 1])
for step in range(20):
    log_metric("loss", 1 / (1 + eta * step), step)
"""


@pytest.fixture
def owner(shared_yard: Yard, page: Page) -> Page:
    """A page whose browser is signed in as the yard's owner."""
    enter(page, shared_yard)
    return page


def deploy_from_console(page: Page, yard: Yard, folder: Path, version: int) -> None:
    (folder / "predictor.py").write_text(PREDICTOR)
    page.goto(f"{yard.url}/console/deploy")
    page.get_by_label("modelyard.yaml").fill(YARD_FILE.format(version=version))
    page.get_by_label("Project", exact=True).fill("shop")
    page.get_by_label("Files that it names").set_input_files(folder / "predictor.py")
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("heading", name="Accepted")).to_be_visible()


def test_the_first_login_wants_another_password(shared_yard: Yard, page: Page) -> None:
    added = shared_yard.client().access.add_user(
        "ada@example.org", grants=[{"role": "viewer", "project": None, "resource": None}]
    )
    page.goto(f"{shared_yard.url}/console")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(str(added.temporary_password))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    page.goto(f"{shared_yard.url}/console")
    expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    page.get_by_label("Present password").fill(str(added.temporary_password))
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The new one again").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page).to_have_url(f"{shared_yard.url}/console")
    expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    expect(page.get_by_role("link", name="Deploy")).to_have_count(0)


def test_an_endpoint_is_deployed_tried_and_read_in_the_browser(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    deploy_from_console(owner, shared_yard, tmp_path, 1)
    owner.get_by_role("link", name="house").click()
    shared_yard.client().wait_endpoint("house")
    owner.reload()
    expect(owner.get_by_text("1/1 ready")).to_be_visible()
    owner.get_by_label("rooms").fill("3")
    owner.get_by_label("area").fill("80")
    owner.get_by_label("city").fill("Antwerp")
    owner.get_by_role("button", name="Predict").click()
    answer = owner.locator("#answer")
    expect(answer).to_contain_text("200 in")
    expect(answer).to_contain_text('"price": 80000')
    # The log is followed: the line comes without another request of the page.
    expect(owner.locator(".log")).to_contain_text("a house in Antwerp")
    shared_yard.client().predict("house", {"rooms": 1, "area": 1.0, "city": "Liege"})
    expect(owner.locator(".log")).to_contain_text("a house in Liege")
    snippet = owner.locator("pre[data-copy]").first.inner_text()
    assert shared_yard.command("predict", "house", '{"rooms": 1, "area": 2.0}').returncode == 0
    assert snippet.startswith(f"curl {shared_yard.url}/endpoints/house/invocations")
    owner.goto(f"{shared_yard.url}/console/endpoints/house/logs?q=antwerp")
    expect(owner.get_by_text("lines are like that")).to_be_visible()
    expect(owner.locator(".log")).not_to_contain_text("Liege")


@pytest.mark.long
def test_captured_requests_are_replayed_against_another_version(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(
        "class Predictor:\n    def predict(self, payload):\n        return {'n': N}\n"
    )
    predictor, client = tmp_path / "predictor.py", shared_yard.client()
    (tmp_path / "modelyard.yaml").write_text(CAPTURED)
    text = predictor.read_text()
    for version in (1, 2):
        predictor.write_text(text.replace("N", str(version)))
        client.deploy(tmp_path, project="shop")
        eventually(lambda wanted=version: client.endpoint("kept").serving_version == wanted)
    client.predict("kept", {"rooms": 3})
    eventually(lambda: client.captures("kept")["days"])
    owner.goto(f"{shared_yard.url}/console/endpoints/kept")
    owner.get_by_label("Against").fill("v1")
    owner.get_by_role("button", name="Replay").click()
    told = owner.locator("#replayed")
    expect(told).to_contain_text("1 captured requests against", timeout=40_000)
    expect(told).to_contain_text("0 the same, 1 different, 0 failed")
    expect(told.get_by_role("region", name="Fields that differ")).to_contain_text("n")
    assert grave_faults(owner) == []


@pytest.mark.long
def test_an_invocation_that_is_queued_is_tried_too(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(
        "class Predictor:\n    def predict(self, payload):\n        return [payload]\n"
    )
    (tmp_path / "modelyard.yaml").write_text("- {name: later, kind: async, predictor: {path: predictor.py}}\n")
    deployed = shared_yard.command("deploy", str(tmp_path))
    assert "/endpoints/later/async-invocations" in deployed.stdout, deployed.stderr
    owner.goto(f"{shared_yard.url}/console/endpoints/later")
    owner.get_by_label("Body, as JSON").fill('{"rooms": 3}')
    owner.get_by_role("button", name="Predict").click()
    expect(owner.locator("#answer")).to_contain_text('"rooms": 3', timeout=20_000)
    expect(owner.locator("#answer")).to_contain_text("200 in")


def test_a_training_is_started_from_the_console(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('fitted in the browser')\n")
    owner.goto(f"{shared_yard.url}/console/jobs/start")
    owner.get_by_label("modelyard.yaml").fill("- {name: fit, kind: training, entry: train.py}\n")
    owner.get_by_label("Project", exact=True).fill("shop")
    owner.get_by_label("Files that it names").set_input_files(tmp_path / "train.py")
    owner.get_by_role("button", name="Start").click()
    expect(owner).to_have_url(f"{shared_yard.url}/console/runs/fit-1")
    expect(owner.get_by_text("fitted in the browser")).to_be_visible()


def test_a_version_is_held_let_on_and_called_back(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    deploy_from_console(owner, shared_yard, tmp_path, 2)
    eventually(lambda: (found := shared_yard.client().endpoint("house").rollout) and found.began_at)
    owner.goto(f"{shared_yard.url}/console/endpoints/house")
    expect(owner.get_by_role("heading", name="Version 2 is on its way")).to_be_visible()
    owner.get_by_role("button", name="Pause").click()
    expect(owner.get_by_text("Held here.")).to_be_visible()
    owner.get_by_role("button", name="Resume").click()
    expect(owner.get_by_role("button", name="Pause")).to_be_visible()
    owner.get_by_role("button", name="Promote whole").click()
    expect(owner.get_by_text("version 2 serves")).to_be_visible(timeout=30_000)
    owner.get_by_role("button", name="Roll back to 1").click()
    expect(owner.get_by_text("rollback to 1")).to_be_visible()


def test_a_form_from_a_browser_reads_no_file_of_the_machine(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"not for everybody")
    owner.goto(f"{shared_yard.url}/console/deploy")
    owner.get_by_label("modelyard.yaml").fill(f"- name: stolen\n  model: {tmp_path}/model.joblib\n")
    owner.get_by_label("Project", exact=True).fill("shop")
    owner.get_by_role("button", name="Deploy").click()
    expect(owner.get_by_role("alert")).to_contain_text("it is not among the files that were sent")
    expect(owner.get_by_label("modelyard.yaml")).to_have_value(re.compile("name: stolen"))


def test_runs_are_chosen_and_compared(shared_yard: Yard, owner: Page, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    client = shared_yard.client()
    started = [
        client.train("curve", entry="train.py", source=tmp_path, hyperparameters={"eta": eta}, project="shop")["id"]
        for eta in (0.1, 0.9)
    ]
    for run in started:
        assert client.wait_run(run)["status"] == "Completed"
    owner.goto(f"{shared_yard.url}/console/runs")
    for run in started:
        owner.get_by_label(f"Compare {run}").check()
    owner.get_by_role("button", name="Compare the chosen").click()
    expect(owner.get_by_role("heading", name="2 runs beside each other")).to_be_visible()
    expect(owner.locator(".thread")).to_have_count(2)
    # The best is drawn last, above the others: less loss is better, and the larger eta has less.
    expect(owner.locator(".thread title").last).to_have_text(started[1])
    expect(owner.locator(".chart .line")).to_have_count(2)
    assert grave_faults(owner) == []


def test_what_is_gone_is_typed_first(shared_yard: Yard, owner: Page) -> None:
    owner.goto(f"{shared_yard.url}/console/endpoints/house")
    owner.get_by_text("Delete this endpoint").click()
    owner.get_by_label("Type house to say that it is meant").fill("hous")
    owner.get_by_role("button", name="Delete it").click()
    expect(owner.get_by_role("alert")).to_contain_text("its name was not typed")
    assert shared_yard.client().endpoint("house").state != "deleting"


GATEWAY = """
- name: front
  kind: gateway
  routes: {"GET /items/{id}": {url: "https://example.com/{id}", key: true, query: [page]}}
  keys: [{name: partner, secret: partner-key, plan: small}]
  plans: {small: {rate: 1, burst: 2, quota: 100}}
  throttle: {rate: 50}
- {name: nightly, kind: training, entry: train.py, schedule: 0 3 * * *}
"""


@pytest.fixture(scope="module")
def furnished(shared_yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """With something of each kind that a page shows."""
    folder, client = tmp_path_factory.mktemp("furnished"), shared_yard.client()
    (folder / "train.py").write_text("print('fitted')\n")
    (folder / "modelyard.yaml").write_text(GATEWAY)
    client.set_secret("partner-key", "not-to-be-guessed")
    client.deploy(folder, project="shop")
    client.access.make_key("nightly report", [{"role": "viewer", "project": "shop", "resource": None}])
    client.access.put_group("staff")
    client.access.put_provider("company", issuer="https://login.example.com", client_id="yard", groups={"DS": "staff"})
    return shared_yard


PAGES = [
    "",
    "/endpoints",
    "/endpoints/house",
    "/endpoints/house/logs",
    "/apps",
    "/sites",
    "/functions",
    "/gateways",
    "/gateways/front",
    "/packages",
    "/surplus",
    "/deploy",
    "/runs",
    "/runs/curve-1",
    "/jobs",
    "/jobs/start",
    "/jobs/transform",
    "/models",
    "/resources",
    "/resources/training/nightly",
    "/alarms",
    "/events",
    "/people",
    "/people/ada@example.org",
    "/providers",
    "/keys",
    "/sessions",
    "/secrets",
    "/audit",
    "/password",
]


@pytest.mark.parametrize(
    ("size", "dark"),
    [
        pytest.param(WIDE, False, id="wide and light"),
        pytest.param(NARROW, True, id="narrow and dark", marks=pytest.mark.long),
    ],
)
def test_nobody_stumbles_over_a_page(furnished: Yard, browser: Browser, size: tuple[int, int], dark: bool) -> None:
    context = a_context(browser, size, dark=dark)
    page = context.new_page()
    faults = watch(page)
    enter(page, furnished)
    for path in PAGES:
        page.goto(f"{furnished.url}/console{path}")
        assert grave_faults(page) == [], path
        assert overflow_pixels(page) == 0, path
        assert transferred_bytes(page) < PAGE_BYTES_MAX, path
    assert not faults, faults
    context.close()


def test_with_the_keyboard_alone_one_comes_to_the_content(shared_yard: Yard, owner: Page) -> None:
    owner.goto(f"{shared_yard.url}/console/endpoints")
    owner.keyboard.press("Tab")
    expect(owner.get_by_role("link", name="Skip to the content")).to_be_focused()
    owner.keyboard.press("Enter")
    owner.keyboard.press("Tab")
    expect(owner.get_by_role("link", name="Deploy...")).to_be_focused()


def test_signing_out_ends_the_session(shared_yard: Yard, owner: Page) -> None:
    cookies = {str(one.get("name")): str(one.get("value")) for one in owner.context.cookies()}
    owner.get_by_role("button", name="Sign out").click()
    expect(owner.get_by_role("button", name="Sign in")).to_be_visible()
    assert httpx.get(f"{shared_yard.url}/console", cookies=cookies).status_code == 401
