"""The worker in other people's environments: pydantic 1, numpy 1, nothing at all, other minor versions of Python.

The environments are built by uv once and kept under the cache folder, in a folder named by what is in them.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.worker.replica_harness import Place, a_place

WORKER = Path(__file__).parents[3] / "modelyard-worker"

BUILD_SECONDS = 300

pytestmark = [pytest.mark.environments, pytest.mark.timeout(BUILD_SECONDS + 120)]

NOTHING = """
import sys
from modelyard_worker import Response

class Predictor:
    def __init__(self, config):
        self.config = config

    def predict(self, payload: dict, context):
        if payload.get("status"):
            return Response({"a": float("nan")}, status=payload["status"])
        return {"python": list(sys.version_info[:2]), "payload": payload, "found": sorted(
            name for name in ("numpy", "orjson", "uvloop", "pydantic") if name in sys.modules
        )}
"""

BATCHED = """
class Predictor:
    def predict_batch(self, payloads):
        return [len(payloads)] * len(payloads)
"""

STREAMED = """
class Predictor:
    async def predict(self, payload: str):
        for word in payload.split():
            yield word
"""

PYDANTIC = """
from typing import Optional
import pydantic

class House(pydantic.BaseModel):
    area: float
    rooms: Optional[int] = None

class Predictor:
    def predict(self, payload: House):
        return {"version": pydantic.VERSION, "house": payload}
"""

NUMPY = """
import numpy as np

class Predictor:
    def predict(self, payload: np.ndarray):
        return {"version": np.__version__, "sum": payload.sum(), "rows": payload * 2}
"""

MODEL = "import pickle, sys\nfrom sums import Sum\npickle.dump(Sum(), open(sys.argv[1], 'wb'))\n"

SUMS = """
class Sum:
    n_features_in_ = 2

    def predict(self, rows):
        return rows.sum(axis=1)
"""


SUMMING = """
import numpy as np
from sums import Sum

class Predictor:
    def __init__(self, model):
        assert isinstance(model, Sum)
        self.model = model

    def predict(self, payload):
        return self.model.predict(np.array(payload))
"""


def _uv(*words: str) -> str:
    found = Path(sys.executable).with_name("uv")
    command = str(found) if found.exists() else shutil.which("uv")
    assert command is not None, "cannot find uv: it is among the project's own dependencies"
    done = subprocess.run([command, *words], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard-tests" / "environments"


def _environment(python: str, *requirements: str) -> str:
    """The interpreter of an environment with the worker as it is now and what is named."""
    wanted = json.dumps([python, *requirements])
    folder = _cache() / hashlib.sha256(wanted.encode()).hexdigest()[:24]
    interpreter, built = folder / "bin" / "python", folder / "worker.sha256"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--quiet", "--no-project", "--python", python, str(folder))
            _uv("pip", "install", "--quiet", "--python", str(interpreter), str(WORKER), *requirements)
        elif built.read_text() != _worker_digest():
            again = ("--reinstall-package", "modelyard-worker", "--no-deps", str(WORKER))
            _uv("pip", "install", "--quiet", "--python", str(interpreter), *again)
        built.write_text(_worker_digest())
    return str(interpreter)


def _worker_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted([*WORKER.rglob("*.py"), WORKER / "pyproject.toml"]):
        digest.update(f"{path.relative_to(WORKER)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _other_python(version: str) -> str:
    """An installed interpreter of that minor version; skips where the machine has none."""
    known = [Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}")]
    on_path = shutil.which(f"python{version}")
    for candidate in [*(str(path) for one in known for path in one), *([on_path] if on_path else [])]:
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    pytest.skip(f"no Python {version} is installed here")


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Place]:
    python, requirements = request.param
    found = sys.executable if python is None else _other_python(python)
    with a_place(_environment(found, *requirements)) as made:
        yield made


def environment(*requirements: str, python: str | None = None) -> tuple[str | None, tuple[str, ...]]:
    return python, requirements


EVERYWHERE = [
    pytest.param(environment(), id="nothing"),
    pytest.param(environment(python="3.9"), id="python-3.9"),
    pytest.param(environment(python="3.10"), id="python-3.10"),
    pytest.param(environment(python="3.12"), id="python-3.12"),
    pytest.param(environment(python="3.13"), id="python-3.13"),
]


@pytest.mark.parametrize("elsewhere", EVERYWHERE, indirect=True)
def test_with_nothing_but_the_standard_library_a_package_is_served(elsewhere: Place) -> None:
    with elsewhere.replica(elsewhere.package(NOTHING), stop_socket_seconds=0.1) as replica:
        client = replica.connect()
        assert client.probe() == {"ok": True}
        answer = client.ask({"a": ["\u00e4", 1.5, None]})
        assert answer.json["payload"] == {"a": ["\u00e4", 1.5, None]}
        assert answer.json["found"] == []
        assert client.ask({"status": 202}).body == b'{"a":null}'
        assert client.ask(b"NaN").status == 400
        assert client.ask(b"[" * 100_000).status == 400
        replica.tell_to_leave()
        client.close()
        assert replica.wait_for_exit()["code"] == 0
        assert "Traceback" not in replica.output


@pytest.mark.parametrize("elsewhere", EVERYWHERE, indirect=True)
def test_batches_streams_and_forks_need_no_library(elsewhere: Place) -> None:
    with elsewhere.template() as template:
        with template.replica(elsewhere, elsewhere.package(BATCHED)) as replica:
            assert [answer.json for answer in replica.connect().ask_together([b"1"] * 5)] == [5] * 5
        with template.replica(elsewhere, elsewhere.package(STREAMED)) as replica:
            assert replica.connect().ask("one two").body == b"onetwo"
        assert template.command("ping")["threads"] == 1


@pytest.mark.parametrize(
    ("elsewhere", "version"),
    [
        pytest.param(environment("pydantic<2"), "1.", id="pydantic-1"),
        pytest.param(environment("pydantic>=2"), "2.", id="pydantic-2"),
    ],
    indirect=["elsewhere"],
)
def test_models_of_either_pydantic_are_read_and_written(elsewhere: Place, version: str) -> None:
    with elsewhere.replica(elsewhere.package(PYDANTIC)) as replica:
        client = replica.connect()
        found = client.ask({"area": "70"}).json
        assert found["version"].startswith(version)
        assert found["house"] == {"area": 70.0, "rooms": None}
        refused = client.ask({"area": "large"})
        assert refused.status == 400
        assert "cannot read the body as House: area: " in refused.meta["message"]
        assert client.ask(b"{").status == 400


@pytest.mark.parametrize(
    ("elsewhere", "version"),
    [
        pytest.param(environment("numpy<2"), "1.", id="numpy-1"),
        pytest.param(environment("numpy>=2"), "2.", id="numpy-2"),
    ],
    indirect=["elsewhere"],
)
def test_arrays_of_either_numpy_are_read_and_written(elsewhere: Place, version: str) -> None:
    with elsewhere.replica(elsewhere.package(NUMPY)) as replica:
        found = replica.connect().ask([[1, 2], [3, 4]]).json
        assert found["version"].startswith(version)
        assert (found["sum"], found["rows"]) == (10, [[2, 4], [6, 8]])
    saved = elsewhere.root / "model.pkl"
    (elsewhere.root / "sums.py").write_text(SUMS)
    subprocess.run([elsewhere.python, "-c", MODEL, str(saved)], cwd=elsewhere.root, check=True, timeout=60)
    package = elsewhere.package(
        SUMMING,
        model=saved,
        framework="sklearn",
    )
    shutil.copy(elsewhere.root / "sums.py", package / "code" / "sums.py")
    with elsewhere.replica(package) as replica:
        assert replica.connect().ask([[1, 2], [3, 4]]).json == [3, 7]


@pytest.mark.parametrize("elsewhere", [pytest.param(environment("pandas"), id="pandas")], indirect=True)
def test_tables_are_read_and_written(elsewhere: Place) -> None:
    code = """
import pandas as pd

class Predictor:
    def predict(self, payload: pd.DataFrame):
        return payload.assign(total=payload["a"] + payload["b"])
"""
    with elsewhere.replica(elsewhere.package(code)) as replica:
        client = replica.connect()
        records = [{"a": 1, "b": 2, "total": 3}, {"a": 3, "b": 4, "total": 7}]
        assert client.ask([{"a": 1, "b": 2}, {"a": 3, "b": 4}]).json == records
        assert client.ask({"a": [1, 3], "b": [2, 4]}).json == records
        assert client.ask({"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}).json == records
        answer = client.ask(b"a,b\n1,2\n3,4\n", "text/csv", accept="text/csv")
        assert answer.body == b"a,b,total\n1,2,3\n3,4,7\n"
        assert client.ask(b"", "text/csv").status == 400


@pytest.mark.parametrize("elsewhere", [pytest.param(environment("pandas", "pyarrow"), id="pyarrow")], indirect=True)
def test_parquet_and_arrow_are_read_as_tables_arrays_and_records(elsewhere: Place) -> None:
    code = """
import io
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq

def bodies():
    table, parquet, arrow = pa.table({"a": [1, 3], "b": [2.0, 4.0]}), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_stream(arrow, table.schema) as writer:
        writer.write_table(table)
    return {"parquet": parquet.getvalue().hex(), "arrow": arrow.getvalue().hex()}

class Predictor:
    def predict(self, payload: HINT):
        return bodies() if isinstance(payload, bytes) else SHOWN
"""
    made = elsewhere.package(code.replace("HINT", "bytes").replace("SHOWN", "0"))
    with elsewhere.replica(made) as replica:
        found = {name: bytes.fromhex(text) for name, text in replica.connect().ask(b"").json.items()}
    kinds = {"parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.stream"}
    for hint, shown in [
        ("pd.DataFrame", "payload.to_dict(orient='records')"),
        ("np.ndarray", "[dict(zip('ab', row)) for row in payload.tolist()]"),
        ("list", "payload"),
    ]:
        with elsewhere.replica(elsewhere.package(code.replace("HINT", hint).replace("SHOWN", shown))) as replica:
            client = replica.connect()
            for name, kind in kinds.items():
                assert client.ask(found[name], kind).json == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
                assert client.ask(b"nonsense", kind).status == 400


@pytest.mark.parametrize("elsewhere", [pytest.param(environment("pillow"), id="pillow")], indirect=True)
def test_images_are_read_and_written(elsewhere: Place) -> None:
    code = """
from PIL import Image

class Predictor:
    def predict(self, payload: Image.Image):
        return payload.resize((2, 1)).convert("RGBA")
"""
    draw = "import sys; from PIL import Image; Image.new('RGB', (8, 8), 'red').save(sys.stdout.buffer, 'PNG')"
    png = subprocess.run([elsewhere.python, "-c", draw], capture_output=True, check=True, timeout=60).stdout
    with elsewhere.replica(elsewhere.package(code)) as replica:
        client = replica.connect()
        small = client.ask(png, "image/png")
        assert (small.status, small.meta["type"], small.body[:4]) == (200, "image/png", b"\x89PNG")
        assert client.ask(png, "image/png", accept="image/jpeg").body[:2] == b"\xff\xd8"
        refused = client.ask(b"no image", "image/png")
        assert (refused.status, refused.meta["error"]) == (400, "invalid_value")
        assert client.ask(b"{}", "application/json").status == 415


FASTAPI = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

@asynccontextmanager
async def lifespan(app):
    app.state.model = 2
    yield

app = FastAPI(lifespan=lifespan)

class House(BaseModel):
    area: float

@app.post("/invocations")
async def predict(house: House, request: Request, currency: str = "EUR"):
    return {"price": house.area * request.app.state.model, "currency": currency}

@app.get("/houses/{name}")
def show(name: str):
    return {"name": name}

@app.get("/stream")
async def stream():
    async def parts():
        for number in range(3):
            yield f"{number}\\n"
            await asyncio.sleep(0)
    return StreamingResponse(parts(), media_type="text/plain")
"""

FLASK = """
from flask import Flask, jsonify, request

app = Flask(__name__)

@app.post("/invocations")
def predict():
    return jsonify(price=request.get_json()["area"] * 2, currency=request.args.get("currency", "EUR"))

@app.get("/houses/<name>")
def show(name):
    return {"name": name}

@app.get("/stream")
def stream():
    return app.response_class((f"{number}\\n" for number in range(3)), mimetype="text/plain")
"""


@pytest.mark.parametrize(
    ("elsewhere", "code", "refused"),
    [
        pytest.param(environment("fastapi"), FASTAPI, 422, id="fastapi"),
        pytest.param(environment("flask"), FLASK, 415, id="flask"),
    ],
    indirect=["elsewhere"],
)
def test_applications_of_frameworks_are_served(elsewhere: Place, code: str, refused: int) -> None:
    with elsewhere.replica(elsewhere.package(code)) as replica:
        client = replica.connect()
        headers = [["content-type", "application/json"], ["host", "127.0.0.1:8400"]]
        answer = client.ask({"area": 70}, headers=headers, query="currency=CHF")
        assert answer.json == {"price": 140, "currency": "CHF"}
        get: dict[str, Any] = {"headers": [["host", "127.0.0.1:8400"]], "method": "GET"}
        assert client.ask(b"", "", path="/houses/a%20b", **get).json == {"name": "a b"}
        assert client.ask(b"", "", path="/stream", **get).body == b"0\n1\n2\n"
        assert client.ask(b"", "", path="/missing", **get).status == 404
        assert client.ask(b"x", "text/plain", headers=[["content-type", "text/plain"]]).status == refused
