"""A program of one's own calls the handler over Lambda's runtime API."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.frames import pack_meta, unpack_meta
from modelyard_worker.request import Request, read_meta
from modelyard_worker.runtime_api import CustomRuntime
from modelyard_worker.servable import Serving
from modelyard_worker.signatures import CannotServe

BOOTSTRAP = """#!/usr/bin/env python3
import json, os, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
def post(path, value):
    urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(value).encode(), method="POST")).close()
while True:
    with urllib.request.urlopen(base + "invocation/next") as asked:
        event, name = json.load(asked), asked.headers["Lambda-Runtime-Aws-Request-Id"]
    if event.get("die"):
        os._exit(7)
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("raise"):
        post(f"invocation/{name}/error", {"errorMessage": event["raise"], "errorType": "Mine"})
    else:
        post(f"invocation/{name}/response", {"event": event, "pid": os.getpid()})
"""


class _Caller:
    gateway = "00000000"


def served(folder: Path, *events: Any) -> list[tuple[int, Any]]:
    """What each event led to, one after the other."""

    async def serve() -> list[tuple[int, Any]]:
        runtime = CustomRuntime("provided", str(folder), Serving("own", 1, 1.0))
        await runtime.open()
        try:
            found: list[tuple[int, Any]] = []
            for number, event in enumerate(events):
                meta = read_meta(pack_meta({"id": f"r-{number}"}))
                request = Request(_Caller(), number, meta, json.dumps(event).encode())
                _, packed, body = (await runtime.predict_async([request]))[0]
                found.append((unpack_meta(packed)["status"], json.loads(body)))
            return found
        finally:
            await runtime.close()

    return asyncio.run(serve())


def put_bootstrap(folder: Path, text: str) -> Path:
    place = folder / "bootstrap"
    place.write_text(text)
    place.chmod(0o755)
    return folder


def test_events_are_answered_one_by_one_and_a_dead_or_slow_program_is_replaced(tmp_path: Path) -> None:
    put_bootstrap(tmp_path, BOOTSTRAP)
    first, failed, died, slow, last = served(
        tmp_path, {"a": 1}, {"raise": "no"}, {"die": True}, {"sleep": 30}, {"b": 2}
    )
    assert first[0] == 200
    assert first[1]["event"] == {"a": 1}
    assert failed == (500, {"errorMessage": "no", "errorType": "Mine"})
    assert (died[0], died[1]["errorType"]) == (500, "Runtime.ExitError")
    assert (slow[0], slow[1]["errorType"]) == (504, "Sandbox.Timedout")
    assert last[1]["event"] == {"b": 2}
    assert last[1]["pid"] != first[1]["pid"]


def test_a_program_that_ends_before_it_asks_cannot_serve(tmp_path: Path) -> None:
    put_bootstrap(tmp_path, "#!/bin/sh\nexit 3\n")
    with pytest.raises(CannotServe, match="status 3"):
        served(tmp_path, {})
