"""A package's life as a file: built without a yard, deployed, taken out, checked, taken into another, served alone."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidValue
from modelyard.sdk.packages import build_file, inspect_file, verify_file, write_image
from modelyard.sdk.waiting import endpoint_serves
from tests.acceptance.images import Buildah, make_base
from tests.acceptance.yard import Yard, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.environments, pytest.mark.timeout(240)]

YARD_FILE = "- name: price\n  predictor: {path: predictor.py}\n  compute: {cpu: 100m}\n  timeout: 30s\n"
PREDICTOR = """
import iniconfig

class Predictor:
    def predict(self, payload):
        return {"found": iniconfig.__file__, "payload": payload}
"""


@pytest.fixture(autouse=True)
def cache_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded once is not downloaded again for each home."""
    found = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    monkeypatch.setenv("UV_CACHE_DIR", str(Path(found) / "modelyard-tests" / "uv"))


@pytest.fixture
def own_yard(cache_of_uv: None, yard: Yard) -> Yard:
    return yard


def modelyard(*words: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **({"MODELYARD_HOME": str(home)} if home else {})}
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def deploy(yard: Yard, place: Path) -> dict[str, Any]:
    outcome = yard.client().deploy(place).outcomes[0]
    view = yard.client().wait_endpoint(outcome["name"], outcome["version"], limit_seconds=120)
    assert endpoint_serves(view, outcome["version"]), view.sentence
    return dict(outcome)


def test_a_package_goes_from_file_to_yard_to_file_and_keeps_its_digest(
    own_yard: Yard, project: Callable[..., Path], tmp_path: Path
) -> None:
    file = project(YARD_FILE, predictor__py=PREDICTOR, requirements__txt="iniconfig==2.0.0\n")
    built = tmp_path / "price.myp"
    done = modelyard("build", str(file), "-o", str(built), "-o", "json")
    assert done.returncode == 0, done.stderr
    digest = json.loads(done.stdout)["digest"]
    assert verify_file(built) == []

    assert deploy(own_yard, built)["change"] == "creating"
    client = own_yard.client()
    assert client.predict("price", 1)["payload"] == 1
    inspected = client.package("price")
    assert inspected["package"]["digest"] == digest
    assert inspected["package"]["endpoints"] == ["price:1"]
    assert "iniconfig==2.0.0" in str(inspected["lock"])
    assert client.verify_package("price") == []
    assert client.deploy(built).outcomes[0]["change"] == "is up to date"

    # What comes out again is what went in, its settings included.
    exported = tmp_path / "exported.myp"
    done = modelyard("package", "export", "price", "-o", str(exported), home=own_yard.home)
    assert done.returncode == 0, done.stderr
    assert inspect_file(exported)["digest"] == digest
    assert inspect_file(exported)["settings"] == {"cpu_millis": 100, "timeout_seconds": 30.0}
    listed = modelyard("package", "list", home=own_yard.home)
    assert digest[:16] in listed.stdout

    # A file that was damaged is refused by name, and nothing of it is taken in.
    content = exported.read_bytes()
    exported.write_bytes(content.replace(b"iniconfig.__file__", b"iniconfig.__name__"))
    with pytest.raises(InvalidValue, match=r"code/predictor\.py has other content"):
        client.import_package(exported)
    done = modelyard("package", "verify", str(exported))
    assert (done.returncode, done.stdout.strip()) == (1, "code/predictor.py has other content")

    # So is one that was changed where it lies in the yard.
    laid_out = own_yard.home / "packages" / digest / "code" / "predictor.py"
    laid_out.unlink()
    laid_out.write_text("changed")
    assert client.verify_package("price") == ["code/predictor.py has other content where it is laid out"]


def test_an_export_locks_what_the_yard_resolved(own_yard: Yard, project: Callable[..., Path], tmp_path: Path) -> None:
    file = project(YARD_FILE, predictor__py=PREDICTOR, requirements__txt="iniconfig\n")
    deploy(own_yard, file)
    exported = tmp_path / "price.myp"
    own_yard.client().export_package("price", exported)
    paths = {one["path"] for one in inspect_file(exported)["files"]}
    assert "requirements.lock" in paths
    taken = own_yard.client().import_package(exported)
    assert taken["locked"]
    assert taken["endpoints"] == []


def context(project: Callable[..., Path], tmp_path: Path) -> Path:
    file = project(YARD_FILE, predictor__py=PREDICTOR, requirements__txt="iniconfig==2.0.0\n")
    build_file(file, tmp_path / "price.myp")
    write_image(tmp_path / "price.myp", tmp_path / "image")
    return tmp_path / "image"


def test_the_context_of_an_image_serves_in_a_real_environment(project: Callable[..., Path], tmp_path: Path) -> None:
    folder = context(project, tmp_path)
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    (wheel,) = folder.glob("*.whl")
    for words in (
        ["venv", "--no-project", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "install", "--python", python, "-r", str(folder / "requirements.lock")],
        ["pip", "install", "--python", python, "--no-deps", "--no-index", str(wheel)],
    ):
        subprocess.run([uv, *words], check=True, capture_output=True, timeout=120)
    output = tmp_path / "serve.log"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with output.open("wb") as written:
        words = [python, "-m", "modelyard_worker.serve", str(folder / "package"), "serve", "--host", "127.0.0.1"]
        environment = {**clean, "SAGEMAKER_BIND_TO_PORT": "0"}
        process = subprocess.Popen(words, env=environment, stdout=written, stderr=written)
    try:
        port = int(eventually(lambda: re.search(r"port (\d+)", output.read_text()))[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b""
        connection.request("POST", "/invocations", b'{"a": 1}', {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["payload"] == {"a": 1}
        assert answer["found"].startswith(str(tmp_path / "venv"))
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    """With the base image that the Dockerfile names."""
    store = Buildah(tmp_path / "buildah")
    try:
        make_base(store, f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim")
        yield store
    finally:
        store.remove()


def test_the_image_builds_and_keeps_the_contract_of_sagemaker(
    buildah: Buildah, project: Callable[..., Path], tmp_path: Path
) -> None:
    buildah.build(context(project, tmp_path), "price")
    image = buildah.configuration("price")
    assert (image["User"], image["Cmd"], list(image["ExposedPorts"])) == ("modelyard", ["serve"], ["8080/tcp"])
    assert image["Labels"]["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"

    # The port is the machine's own and may be taken, so the container binds another, as the label says it can.
    output = tmp_path / "serve.log"
    words = [*image["Entrypoint"], *image["Cmd"]]
    container = buildah.start("price", words, {"SAGEMAKER_BIND_TO_PORT": "0"}, output)
    try:
        port = int(eventually(lambda: re.search(r"port (\d+)", output.read_text()))[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/ping")
        assert (pinged := connection.getresponse()).status == 200
        assert pinged.read() == b""
        connection.request("POST", "/invocations", b'{"a": 1}', {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["payload"] == {"a": 1}
        assert Path(answer["found"]).parent.name == "iniconfig"
        assert container.server().uids().real != os.getuid()
    finally:
        code = container.stop()
    assert code == 0, output.read_text()
