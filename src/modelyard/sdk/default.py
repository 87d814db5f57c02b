"""The verbs without a client: each call speaks to the yard that `MODELYARD_URL` names, or that of the home."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from modelyard.sdk.address import Address, find_address
from modelyard.sdk.client import Client
from modelyard.sdk.deployments import Deployment
from modelyard.sdk.views import ModelView, RunView


def deploy(
    what: str | Path | None = None, *, project: str | None = None, name: str | None = None, wait: bool = True
) -> Deployment:
    """As `Client.deploy`; `wait` returns when every endpoint serves or cannot."""
    with Client() as client:
        deployment = client.deploy(what, project=project, name=name)
        for outcome in deployment.outcomes if wait else []:
            client.wait_endpoint(outcome["name"], outcome["version"])
        return deployment


def predict(name: str, data: Any, *, content_type: str | None = None) -> Any:
    """As `Client.predict`. Connections are kept between calls."""
    return _kept(find_address()).predict(name, data, content_type=content_type)


@lru_cache(maxsize=4)
def _kept(address: Address) -> Client:
    return Client(address.url, address.key)


def train(name: str, *, wait: bool = True, **training: Any) -> RunView:
    """As `Client.train`, with its arguments; `wait` returns when the run has ended."""
    with Client() as client:
        run = client.train(name, **training)
        return client.wait_run(run["id"]) if wait else run


def register(model: str, path: str | Path, *, project: str | None = None, framework: str | None = None) -> ModelView:
    """As `Client.register`."""
    with Client() as client:
        return client.register(model, path, project=project, framework=framework)
