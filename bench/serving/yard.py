"""A yard of its own for the benchmark: started in a fresh home, ended with the block."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.serving.servers import Server
from bench.serving.subject import ANSWER, BODY
from modelyard.sdk import Client

ENDPOINT = "iris"
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

    def deploy(self, name: str) -> float:
        """Puts model iris:1 live as `name`; returns the seconds from the request to the first answered prediction."""
        resource = {"kind": "endpoint", "name": name, "model": {"reference": f"{ENDPOINT}:1"}, "spec": {"replicas": 1}}
        deployment = {"project": PROJECT, "resources": [resource]}
        with httpx.Client(headers={"authorization": f"Bearer {self.key}"}) as http:
            began = time.perf_counter()
            http.post(f"{self.url}/api/v1/deployments", json=deployment).raise_for_status()
            while not (answer := http.post(self.prediction_url(name), content=BODY, headers=_HEADERS)).is_success:
                if time.perf_counter() > began + FIRST_PREDICTION_SECONDS_MAX:
                    raise RuntimeError(f"cannot measure the deploy of {name}: {answer.text[:300]}")
                time.sleep(_POLL_SECONDS)
            took = time.perf_counter() - began
        _check_answer(answer)
        return took

    def delete(self, name: str) -> None:
        """Takes the endpoint away; returns when it is gone."""
        self.client.delete_endpoint(name)

    def server(self) -> Server:
        """The endpoint as one of the compared."""
        return Server("modelyard", "this endpoint", self.prediction_url(ENDPOINT), self.processes())

    def processes(self) -> dict[str, list[int]]:
        """Every process of the yard by role; `template` is what is neither platform nor replica."""
        platform = self.client.status()["processes"]
        roles = {process["name"]: [process["pid"]] for process in platform if process["pid"] is not None}
        replicas = self.client.endpoint(ENDPOINT)["replicas"]
        roles["replica"] = [replica["pid"] for replica in replicas if replica["pid"] is not None]
        known = {pid for pids in roles.values() for pid in pids}
        family = psutil.Process(roles["supervisor"][0]).children(recursive=True)
        roles["template"] = [child.pid for child in family if child.pid not in known]
        return roles

    def prediction_url(self, name: str) -> str:
        return f"{self.url}/endpoints/{name}/invocations"


@contextmanager
def running_yard(home: Path, model: Path) -> Generator[Yard]:
    """A yard in `home` on a free port, with `model` registered as iris:1."""
    environment = {**os.environ, "MODELYARD_HOME": str(home)}
    for name in ("MODELYARD_URL", "MODELYARD_API_KEY"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "modelyard.cli.main"]
    subprocess.run([*command, "up", "--detach", "--port", "0"], env=environment, check=True)
    try:
        url = str(json.loads((home / "yard.json").read_text())["url"]).rstrip("/")
        key = (home / "key").read_text().strip()
        with Client(url, key) as client:
            client.register(ENDPOINT, model, project=PROJECT)
            yield Yard(url, key, client)
    finally:
        subprocess.run([*command, "down"], env=environment, check=True)


def _check_answer(answer: httpx.Response) -> None:
    if json.loads(answer.content) != json.loads(ANSWER):
        raise RuntimeError(f"cannot compare: {answer.url} answers {answer.text[:200]} and not {ANSWER.decode()}")
