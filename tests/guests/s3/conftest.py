"""An S3 that checks signatures: Moto's server, in an environment of its own."""

import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard_worker.object_store import ObjectStore

from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually
from tests.guests.guest_environment import guest_python

BUCKET = "houses"
UNSIGNED_REQUESTS = 4
"""What `prepare.py` sends."""


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment under which the server is used."""
    python = guest_python("s3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    server = subprocess.Popen(
        [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(UNSIGNED_REQUESTS)},
        stdout=log,
        stderr=log,
    )
    try:
        eventually(lambda: _answers(f"{url}/moto-api/"), saying="the server answers")
        prepare = [python, str(Path(__file__).with_name("prepare.py")), url, BUCKET]
        said = subprocess.run(prepare, check=True, capture_output=True, text=True, timeout=60).stdout
        yield {**json.loads(said), "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}
    finally:
        server.kill()
        server.wait()
        log.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture
def store(s3: dict[str, str]) -> ObjectStore:
    return ObjectStore(s3)


@pytest.fixture(scope="session")
def yard(s3: dict[str, str]) -> Iterator[Yard]:
    """One whose processes have the store's credentials in their environment, as whoever runs its commands has."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3.items():
            environment.setenv(name, value)
        with a_yard() as one:
            yield one
