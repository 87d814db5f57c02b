"""A yard of its own for the benchmark: started in a fresh home, ended with the block."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.serving import work
from bench.serving.cases import CASES_BY_NAME, asked
from bench.serving.servers import Server
from bench.serving.shapes import PLAIN
from modelyard.sdk import Client

OURS = "modelyard"
REGISTERED = "iris"
"""The model whose deploy is timed."""

PROJECT = "bench"
FIRST_PREDICTION_SECONDS_MAX = 60.0
PLATFORM = ("supervisor", "gateway", "control", "controller")
_POLL_SECONDS = 0.001
_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Yard:
    """A running yard. `url` is its address, `key` its owner's."""

    url: str
    key: str
    client: Client

    def timed_deploy(self, name: str) -> float:
        """Puts the registered model live as `name`; seconds from the request to the first answered prediction."""
        resource = {
            "kind": "endpoint",
            "name": name,
            "model": {"reference": f"{REGISTERED}:1"},
            "spec": {"replicas": 1},
        }
        deployment = {"project": PROJECT, "resources": [resource]}
        body = PLAIN.body(asked(CASES_BY_NAME[REGISTERED]))
        with httpx.Client(headers={"authorization": f"Bearer {self.key}"}) as http:
            began = time.perf_counter()
            http.post(f"{self.url}/api/v1/deployments", json=deployment).raise_for_status()
            while not (answer := http.post(self.prediction_url(name), content=body, headers=_HEADERS)).is_success:
                if time.perf_counter() > began + FIRST_PREDICTION_SECONDS_MAX:
                    raise RuntimeError(f"cannot measure the deploy of {name}: {answer.text[:300]}")
                time.sleep(_POLL_SECONDS)
            return time.perf_counter() - began

    def delete(self, name: str) -> None:
        """Takes the endpoint away; returns when it is gone."""
        self.client.delete_endpoint(name)

    def server(self, endpoint: str) -> Server:
        """An endpoint as one of the compared."""
        return Server(OURS, "this endpoint", self.prediction_url(endpoint), self.processes(endpoint))

    def processes(self, endpoint: str) -> dict[str, list[int]]:
        """The platform's processes by role, the endpoint's replicas, and its templates: what forked the replicas."""
        platform = self.client.status()["processes"]
        roles = {process["name"]: [process["pid"]] for process in platform if process["pid"] is not None}
        replicas = self.client.endpoint(endpoint)["replicas"]
        roles["replica"] = [replica["pid"] for replica in replicas if replica["pid"] is not None]
        roles["template"] = sorted({psutil.Process(pid).ppid() for pid in roles["replica"]} - set(roles["supervisor"]))
        return roles

    def prediction_url(self, name: str) -> str:
        return f"{self.url}/endpoints/{name}/invocations"


@contextmanager
def running_yard(folder: Path, models: Path) -> Generator[Yard]:
    """A yard in a home below `folder` on a free port, with every case's endpoint live and one model registered."""
    home = folder / "home"
    environment = {**os.environ, "MODELYARD_HOME": str(home)}
    for name in ("MODELYARD_URL", "MODELYARD_API_KEY"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "modelyard.cli.main"]
    subprocess.run([*command, "up", "--detach", "--port", "0"], env=environment, check=True)
    try:
        written = _written_project(folder / PROJECT, models)
        subprocess.run([*command, "deploy", str(written)], env=environment, check=True, stdout=subprocess.DEVNULL)
        url = str(json.loads((home / "yard.json").read_text())["url"]).rstrip("/")
        key = (home / "key").read_text().strip()
        with Client(url, key) as client:
            client.register(REGISTERED, models / "iris.joblib", project=PROJECT)
            yield Yard(url, key, client)
    finally:
        subprocess.run([*command, "down"], env=environment, check=True)


def _written_project(folder: Path, models: Path) -> Path:
    """The project that is deployed: its yard file, its predictors, and what they need beside them."""
    shutil.copytree(Path(__file__).parent / "endpoints", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(str(work.__file__), folder / "work.py")
    for model in models.iterdir():
        shutil.copy(model, folder)
    return folder / "modelyard.yaml"
