"""People and programs come in as they were let in, through real processes, and are out as soon as they are put out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelyard.errors import Forbidden
from modelyard.sdk.client import Client
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

BODY = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
PASSWORD = "correct horse battery"


def predict(yard: Yard, headers: dict[str, str] | None = None) -> int:
    return httpx.post(f"{yard.url}/endpoints/iris/invocations", json=BODY, timeout=30, headers=headers).status_code


def test_an_endpoint_that_wants_a_key_is_shut_and_opened_without_a_restart(
    yard: Yard, project: Callable[..., Path], iris_model: Path
) -> None:
    path = project("- name: iris\n  model: iris.joblib\n  access: key\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    owner = yard.client()
    owner.deploy(path)
    owner.wait_endpoint("iris")
    eventually(lambda: predict(yard) == 401)
    made = yard.command("keys", "add", "shop", "--role", "caller:endpoint/iris")
    assert made.returncode == 0, made.stderr
    key = {"x-api-key": made.stdout.strip()}
    eventually(lambda: predict(yard, headers=key) == 200)
    with Client(yard.url, key["x-api-key"]) as program, pytest.raises(Forbidden, match="no viewer on anything"):
        program.endpoints()
    replica = yard.replicas("iris")[0]["id"]
    yard.kill("controller")
    yard.kill("control")
    yard.kill("gateway")
    eventually(lambda: predict(yard, headers=key) == 200)
    eventually(lambda: owner.access.keys()[0].last_used_at is not None)
    owner.access.delete_key(owner.access.keys()[0].id)
    eventually(lambda: predict(yard, headers=key) == 401)
    path.write_text("- name: iris\n  model: iris.joblib\n  access: public\n")
    outcome = owner.deploy(path).outcomes[0]
    assert outcome["sentence"] == "changing access to iris (endpoint)"
    eventually(lambda: predict(yard) == 200)
    assert yard.replicas("iris")[0]["id"] == replica


def test_somebody_signs_in_changes_the_password_and_is_put_out(yard: Yard) -> None:
    added = yard.command("users", "add", "ada@example.org", "--role", "viewer")
    temporary = added.stdout.strip()
    assert temporary not in added.stderr
    with httpx.Client(base_url=yard.url, headers={"origin": yard.url}, timeout=30) as browser:
        assert "Sign in" in browser.get("/console").text
        answer = browser.post("/console/login", data={"email": "ada@example.org", "password": temporary})
        assert answer.headers["location"] == "/console/password"
        assert browser.get("/console").headers["location"] == "/console/password"
        form = {"old": temporary, "new": PASSWORD, "again": PASSWORD}
        assert browser.post("/console/password", data=form).headers["location"] == "/console"
        assert browser.get("/console").status_code == 200
        assert "ada@example.org" in yard.command("sessions", "list").stdout
        assert yard.command("users", "disable", "ada@example.org").returncode == 0
        assert browser.get("/console").status_code == 401
        again = browser.post("/console/login", data={"email": "ada@example.org", "password": PASSWORD})
        assert again.status_code == 401
    seen = yard.command("audit", "ada@").stdout
    assert "sign in as ada@example.org" in seen
    assert "PATCH /users/ada@example.org" in seen
    assert PASSWORD not in yard.log("control") + yard.log("gateway") + seen


def test_a_yard_that_admits_nobody_listens_on_loopback_only(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "modelyard.processes.supervisor", "--host", "0.0.0.0", "--port", "0"],
        env={"MODELYARD_HOME": str(tmp_path / "home"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "cannot listen on 0.0.0.0: nobody is admitted to this yard yet" in refused.stderr
