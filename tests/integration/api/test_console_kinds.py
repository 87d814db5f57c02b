"""Pages of apps, sites, functions and gateways: what they show, and what their buttons do."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.console.reports import Report, reports
from modelyard.domain.apps import AppSettings
from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.functions import Function
from modelyard.domain.models import Lineage
from tests.integration.api.yard_over_http import URL, Api

REPORT = (
    "2026-01-01T00:00:00Z greet-1 INFO REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: 4 ms\t"
    "Memory Size: 256 MB\tMax Memory Used: 41 MB"
)


@pytest.fixture
def yard(tmp_path: Path) -> Api:
    api = Api(tmp_path / "home")
    api.register()
    assert api.deploy({"name": "price", "model": {"reference": "price"}}).status_code == 200
    package = api.store.endpoints.get("price").wished.spec.package
    served = {"greet": EndpointSpec(package, function=Function()), "board": EndpointSpec(package, app=AppSettings())}
    api.store.deployments.apply("shop", Wanted(served), api.clock.now())
    tree = api.tree({"index.html": b"<h1>trends</h1>"})
    routes = [
        {"key": "GET /trend", "target": {"function": "greet"}, "needs_key": True},
        {"key": "POST /price", "target": {"endpoint": "price"}, "cache_seconds": 5.0},
        {"key": "$default", "target": {"site": "page"}},
    ]
    assert api.ask("PUT", "/api/v1/secrets/SHOP_KEY", json={"value": "a-key-of-the-shop"}).status_code == 200
    keys = [{"name": "shop", "secret": "SHOP_KEY", "plan": "gold"}]
    gateway: dict[str, object] = {"routes": routes, "keys": keys, "stages": {"$default": {}, "dev": {}}}
    gateway["plans"] = {"gold": {"rate": 5.0, "quota": 100}}
    for kind, name, spec in (
        ("site", "page", {"tree": tree}),
        ("gateway", "front", gateway),
        ("site", "page", {"tree": tree, "spa": True, "access": "login"}),
    ):
        assert api.deploy({"kind": kind, "name": name, "spec": spec}).status_code == 200
    return api


def talk(api: Api, *asked: tuple[str, dict[str, Any] | None]) -> list[httpx.Response]:
    """Pages, and forms that are sent to them."""
    link = api.post("/links").json()["url"]

    async def go(client: httpx.AsyncClient) -> list[httpx.Response]:
        await client.get(link)
        return [
            await (client.get(f"/console{path}") if form is None else client.post(f"/console{path}", data=form))
            for path, form in asked
        ]

    return api.talk(go, headers={"origin": URL})


def test_each_kind_has_its_list_and_its_page(yard: Api) -> None:
    paths = ("/endpoints", "/apps", "/functions", "/apps/board", "/functions/greet", "/sites/page", "/gateways/front")
    endpoints, apps, functions, app, function, site, gateway = (
        one.text for one in talk(yard, *((p, None) for p in paths))
    )
    assert "/console/endpoints/price" in endpoints
    assert "greet" not in endpoints
    assert "/console/apps/board" in apps
    assert "/console/functions/greet" in functions
    assert 'href="http://board.localhost:8400"' in app
    assert "Try it" not in app
    assert 'data-url="/functions/greet"' in function
    assert "Event, as JSON" in function
    assert 'href="http://page.localhost:8400"' in site
    assert "whoever has signed in" in site
    assert 'href="/console/functions/greet"' in gateway
    assert 'href="/console/sites/page"' in gateway
    assert "http://127.0.0.1:8400/gateways/front/dev" in gateway
    assert "5 a second, 100 a day" in gateway
    assert "0 this day" in gateway
    assert "a-key-of-the-shop" not in gateway


def test_a_gateway_leads_to_no_site_that_is_not_there_or_comes_with_it(api: Api) -> None:
    def front(*more: dict[str, Any]) -> httpx.Response:
        spec = {"routes": [{"key": "$default", "target": {"site": "page"}}]}
        return api.deploy({"kind": "gateway", "name": "front", "spec": spec}, *more)

    assert "cannot route to page: there is no such site" in front().json()["error"]["message"]
    assert front({"kind": "site", "name": "page", "spec": {"tree": api.tree({"index.html": b"x"})}}).status_code == 200


def test_a_site_goes_back_to_an_earlier_version_and_what_serves_stays_where_it_is(yard: Api) -> None:
    rolled, refreshed, deleted = talk(
        yard,
        ("/sites/page/rollback", {"to": "1"}),
        ("/functions/greet/refresh", {}),
        ("/gateways/front/delete", {"confirm": "front"}),
    )
    assert [one.status_code for one in (rolled, refreshed, deleted)] == [303] * 3
    assert rolled.headers["location"] == "/console/sites/page"
    assert refreshed.headers["location"] == "/console/functions/greet"
    assert deleted.headers["location"] == "/console/gateways"
    assert not yard.store.resources.get("site", "page").wished.spec["spa"]
    assert yard.store.endpoints.get("greet").wished.number == 2
    assert not yard.store.resources.select("gateway")


def test_a_package_is_looked_at_and_verified(yard: Api) -> None:
    digest = yard.store.endpoints.get("price").wished.spec.package
    shown, verified = talk(yard, (f"/packages/{digest}", None), (f"/packages/{digest}/verify", {}))
    assert "model.json" in shown.text
    assert "It is whole" in verified.text


def test_a_training_is_started_with_what_was_typed_otherwise(yard: Api) -> None:
    code = yard.tree({"train.py": b""})
    run = {"training": "fit", "project": "shop", "entry": "train.py", "code": code, "hyperparameters": {"a": 1, "b": 2}}
    assert yard.deploy({"kind": "training", "name": "fit", "spec": {"run": run}}).status_code == 200
    form = {"name": ["a", "b", "eta", ""], "before": ["1", "2", "", ""], "value": ["1", "3", "0.3", ""]}
    page, started = talk(yard, ("/resources/training/fit", None), ("/resources/training/fit/start", form))
    assert "modelyard start fit --set a=1" in page.text
    assert started.headers["location"] == "/console/runs/fit-1"
    assert yard.store.runs.get("fit-1").spec.hyperparameters == {"a": "1", "b": "3", "eta": "0.3"}


def test_what_nothing_needs_is_shown_before_it_is_deleted(yard: Api) -> None:
    page, shown, done = talk(yard, ("/surplus", None), ("/surplus/look", {}), ("/surplus/collect", {}))
    assert "Look for it" in page.text
    assert "Nothing: all that lies there is needed" in shown.text or "Delete" in shown.text
    assert "were deleted" in done.text


def test_reports_of_a_functions_log_become_figures() -> None:
    first = REPORT.format("r-1", 2.5) + "\tInit Duration: 80.00 ms"
    lines = ["START RequestId: r-1", first, "printed by hand", REPORT.format("r-2", 3000) + "\tStatus: timeout"]
    assert reports(lines) == [
        Report("r-1", 0.0025, 41e6, 256e6, 0.08, timed_out=False),
        Report("r-2", 3.0, 41e6, 256e6, None, timed_out=True),
    ]


def send(api: Api, path: str, form: dict[str, str], *files: tuple[str, bytes]) -> httpx.Response:
    """A form that has files."""
    link = api.post("/links").json()["url"]

    async def go(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(link)
        return await client.post(f"/console{path}", data=form, files=[("files", one) for one in files])

    return api.talk(go, headers={"origin": URL})


TRAINING = """\
- {name: fit, kind: training, entry: train.py, inputs: {train: rows.csv}, hyperparameters: {depth: 3}}
- name: fits
  kind: tuning
  training: fit
  objective: {metric: loss, direction: minimize}
  max_trials: 2
  parameters: {depth: {min: 1, max: 5}}
"""


def test_a_training_and_a_tuning_are_started_from_files_that_were_sent(yard: Api) -> None:
    files = ("train.py", b"print(1)"), ("rows.csv", b"1,2\n")
    (page,) = talk(yard, ("/jobs/start", None))
    assert "modelyard train --file modelyard.yaml" in page.text
    ran = send(yard, "/jobs/start/run", {"text": TRAINING, "project": "shop"}, *files)
    assert ran.headers["location"] == "/console/runs/fit-1"
    assert yard.store.runs.get("fit-1").spec.project == "shop"
    tuned = send(yard, "/jobs/start/run", {"text": TRAINING, "project": "shop", "name": "fits"}, *files)
    assert tuned.headers["location"] == "/console/jobs/tunings/fits-1"
    assert yard.store.tunings.get("fits-1").spec.max_trials == 2
    for path in ("/jobs", "/jobs/tunings/fits-1", "/runs", "/runs/fit-1"):
        (shown,) = talk(yard, (path, None))
        assert (path, shown.status_code) == (path, 200)


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../../etc/hostname", "dvc:/etc/hostname", "dvc:../../../etc/hostname"]
)
def test_what_a_browser_trains_with_is_no_file_of_the_machine(yard: Api, path: str) -> None:
    text = TRAINING.replace("rows.csv", f'"{path}"')
    refused = send(yard, "/jobs/start/run", {"text": text, "project": "shop"}, ("train.py", b""))
    assert refused.status_code == 409
    assert "cannot" in refused.text
    assert not yard.store.runs.select(limit=10)


def test_a_transform_is_started_with_paths_of_the_yard(yard: Api, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n")
    form = {
        "model": "endpoint/price",
        "input": str(rows),
        "output": "/data/out",
        "project": "shop",
        "split": "Line",
    }
    page, started = talk(yard, ("/jobs/transform", None), ("/jobs/transform/run", form))
    assert '<option value="endpoint/price">' in page.text
    place = started.headers["location"]
    assert place.startswith("/console/jobs/transforms/price-transform-")
    spec = yard.store.transforms.get(place.rpartition("/")[2]).spec
    assert (spec.input, spec.output) == (str(rows), "/data/out")
    for path in ("/jobs", place.removeprefix("/console")):
        (shown,) = talk(yard, (path, None))
        assert (path, shown.status_code) == (path, 200)
    (tmp_path / "model.joblib").write_bytes(b"not for everybody")
    (refused,) = talk(yard, ("/jobs/transform/run", {**form, "model": str(tmp_path / "model.joblib")}))
    assert "cannot find the model" in refused.text, "a file of the machine that the yard runs on"
    assert "--split Line" in refused.text, "what was typed stays, as a command too"


def test_a_models_page_leads_to_what_it_was_trained_from_and_into(yard: Api) -> None:
    lineage = Lineage(inputs={"base": "d" * 64}, parents={"base": "price:1"})
    yard.store.models.register("tuned", "shop", "t" * 64, 10, "xgboost", lineage, yard.clock.now())
    parent, child = talk(yard, ("/models/price/1", None), ("/models/tuned/1", None))
    assert '<a href="/console/models/tuned/1">tuned:1</a>' in parent.text
    assert '<a href="/console/models/price/1">price:1</a>' in child.text


def test_a_model_is_registered_and_a_package_goes_out_and_comes_in(yard: Api) -> None:
    sent = send(yard, "/models/register", {"name": "price", "project": "shop"}, ("model.json", b'{"a": 1}'))
    assert sent.headers["location"] == "/console/models/price/2"
    digest = yard.store.endpoints.get("price").wished.spec.package
    archive = yard.ask("GET", f"/api/v1/packages/{digest}/archive").content
    back = send(yard, "/packages/import", {}, ("price.myp", archive))
    assert back.headers["location"] == f"/console/packages/{digest}"
    broken = send(yard, "/packages/import", {}, ("price.myp", b"no package"))
    assert broken.status_code == 409


def test_a_provider_is_put_and_removed(yard: Api) -> None:
    form = {
        "name": "company",
        "issuer": "https://login.example.com",
        "client_id": "yard",
        "admits": "example.com, a@b.org",
    }
    _, put, page, odd, removed = talk(
        yard,
        ("/people/group", {"group": "analysts", "grants": "viewer:shop"}),
        ("/providers/put", {**form, "groups": "DS=analysts", "grants": "viewer:shop"}),
        ("/providers", None),
        ("/providers/put", {**form, "groups": "DS"}),
        ("/providers/remove", {"name": "company", "confirm": "company"}),
    )
    assert put.headers["location"] == "/console/providers"
    assert all(word in page.text for word in ("example.com", "a@b.org", "DS: analysts", "viewer:shop", "/callback"))
    assert "write THERE=HERE" in odd.text
    assert 'value="https://login.example.com"' in odd.text, "what was typed stays"
    assert removed.status_code == 303
    assert not yard.ask("GET", "/api/v1/providers").json()["providers"]
