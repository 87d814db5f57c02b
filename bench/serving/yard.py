"""The benchmark's own yard, with an endpoint for every case."""

import shutil
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
from bench.yard import FreshYard, fresh_yard

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
    """A running yard with every case's endpoint in it."""

    fresh: FreshYard

    def timed_deploy(self, name: str) -> float:
        """Puts the registered model live as `name`; seconds from the request to the first answered prediction."""
        resource = {
            "kind": "endpoint",
            "name": name,
            "model": {"reference": f"{REGISTERED}:1"},
            "spec": {"replicas": 1},
        }
        deployment = {"project": PROJECT, "resources": [resource]}
        body, url = PLAIN.body(asked(CASES_BY_NAME[REGISTERED])), self.fresh.prediction_url(name)
        with httpx.Client(headers={"authorization": f"Bearer {self.fresh.key}"}) as http:
            began = time.perf_counter()
            http.post(f"{self.fresh.url}/api/v1/deployments", json=deployment).raise_for_status()
            while not (answer := http.post(url, content=body, headers=_HEADERS)).is_success:
                if time.perf_counter() > began + FIRST_PREDICTION_SECONDS_MAX:
                    raise RuntimeError(f"cannot measure the deploy of {name}: {answer.text[:300]}")
                time.sleep(_POLL_SECONDS)
            return time.perf_counter() - began

    def delete(self, name: str) -> None:
        """Takes the endpoint away; returns when it is gone."""
        self.fresh.client.delete_endpoint(name)

    def server(self, endpoint: str) -> Server:
        """An endpoint as one of the compared."""
        return Server(OURS, "this endpoint", self.fresh.prediction_url(endpoint), self.processes(endpoint))

    def processes(self, endpoint: str) -> dict[str, list[int]]:
        """The platform's processes by role, the endpoint's replicas, and its templates: what forked the replicas."""
        client = self.fresh.client
        platform = client.status()["processes"]
        roles = {process["name"]: [process["pid"]] for process in platform if process["pid"] is not None}
        replicas = client.endpoint(endpoint).replicas
        roles["replica"] = [replica.pid for replica in replicas if replica.pid is not None]
        roles["template"] = sorted({psutil.Process(pid).ppid() for pid in roles["replica"]} - set(roles["supervisor"]))
        return roles


@contextmanager
def running_yard(folder: Path, models: Path) -> Generator[Yard]:
    """A yard in a home below `folder` on a free port, with every case's endpoint live and one model registered."""
    with fresh_yard(folder / "home") as fresh:
        fresh.command("deploy", str(_written_project(folder / PROJECT, models)))
        fresh.client.register(REGISTERED, models / "iris.joblib", project=PROJECT)
        yield Yard(fresh)


def _written_project(folder: Path, models: Path) -> Path:
    """The project that is deployed: its yard file, its predictors, and what they need beside them."""
    shutil.copytree(Path(__file__).parent / "endpoints", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(str(work.__file__), folder / "work.py")
    for model in models.iterdir():
        shutil.copy(model, folder)
    return folder / "modelyard.yaml"
