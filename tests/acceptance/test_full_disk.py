"""A disk that is full: what is new is refused in words, what serves goes on, and afterwards all is as before."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import joblib
import pytest
from sklearn.linear_model import Ridge

from modelyard.errors import ModelyardError
from tests.acceptance.standing import standing_yard
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

DISK_BYTES = 192 * 2**20
SPOOLED_BYTES = 10 * 2**20
"""A body that the gateway keeps in a file."""

ENDPOINTS = """
- name: iris
  model: iris.joblib
- name: size
  predictor: {path: size.py, config: {}}
  max_body: 32Mi
"""

SIZE = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: bytes):
        print("a line for the log")
        return len(payload)
"""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own, in memory."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a disk")
    place = Path(tempfile.mkdtemp(prefix="disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        place.rmdir()
        pytest.skip(f"this machine mounts no disks: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
        place.rmdir()


@contextlib.contextmanager
def full(disk: Path) -> Generator[None]:
    """Not a byte is free while the block lasts."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**20))
    with filling.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    try:
        yield
    finally:
        filling.unlink()


def size_of(yard: Yard, count: int) -> httpx.Response:
    return httpx.post(f"{yard.url}/endpoints/size/invocations", content=bytes(count), timeout=30)


def test_a_full_disk_stops_what_is_new_and_nothing_else(small_disk: Path, iris_model: Path) -> None:
    with standing_yard(small_disk / "home") as (yard, project):
        for name, text in (("modelyard.yaml", ENDPOINTS), ("size.py", SIZE)):
            (project / name).write_text(text)
        (project / "iris.joblib").write_bytes(iris_model.read_bytes())
        client = yard.client()
        client.deploy(project / "modelyard.yaml")
        for name in ("iris", "size"):
            assert client.wait_endpoint(name).state == "live"
        other = project / "other.joblib"
        joblib.dump(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), other)

        with full(small_disk):
            assert client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])
            assert size_of(yard, 3).json() == 3
            for new in (
                lambda: client.register("other", other),
                lambda: client.deploy(other),
                lambda: client.train("fit", entry="size.py", source=project),
                lambda: client.refresh("iris"),
            ):
                with pytest.raises(ModelyardError, match=r"^cannot ") as refused:
                    new()
                assert refused.value.code in ("store_failed", "no_room"), refused.value
                assert "disk" in f"{refused.value.message} {refused.value.hint}"
            spooled = size_of(yard, SPOOLED_BYTES)
            assert spooled.status_code >= 500
            assert "disk" in spooled.text
            assert client.endpoint("iris").state == "live"
            assert client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])

        # The guard looks at the disk now and then; what it saw last may still be the full one.
        eventually(lambda: client.register("other", other))
        assert size_of(yard, SPOOLED_BYTES).json() == SPOOLED_BYTES
        assert client.refresh("iris")["version"] == 2
        assert client.wait_endpoint("iris", 2).state == "live"
