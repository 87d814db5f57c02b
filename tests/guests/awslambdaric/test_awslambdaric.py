"""One handler, called by a replica of ours and by the real awslambdaric over our runtime API; boto3 asks."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import eventually
from tests.guests.guest_environment import guest_python

pytestmark = [pytest.mark.environments, pytest.mark.timeout(300)]

CLIENT = Path(__file__).with_name("client.py")
REQUIREMENTS = Path(__file__).with_name("requirements.in")

APP = """
import time

def handler(event, context):
    if "raise" in event:
        raise ValueError(event["raise"])
    time.sleep(event.get("sleep", 0))
    return {
        "event": event,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "has_time": 0 < context.get_remaining_time_in_millis() <= 2000,
        "custom": context.client_context.custom if context.client_context else None,
    }
"""

YARD_FILE = """
- {name: ours, kind: function, handler: app.handler, timeout: 2s, memory: 512Mi}
- {name: theirs, kind: function, handler: app.handler, timeout: 2s, memory: 512Mi, runtime: awslambdaric}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("lambda")
    code = folder / "code"
    code.mkdir()
    (code / "app.py").write_text(APP)
    (code / "modelyard.yaml").write_text(YARD_FILE)
    (code / "requirements.txt").write_text(REQUIREMENTS.read_text())
    with a_yard() as yard:
        client = yard.client()
        client.deploy(code / "modelyard.yaml")
        for name in ("ours", "theirs"):
            eventually(lambda name=name: client.endpoint(name).state == "live", 240, f"{name} is live")
        command = [guest_python("awslambdaric"), str(CLIENT), yard.url]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert asked.returncode == 0, asked.stderr
        yield json.loads(asked.stdout)


def test_the_same_handler_hears_and_says_the_same(found: dict[str, Any]) -> None:
    ours, theirs = found["ours"], found["theirs"]
    expected = {
        "event": {"n": 1},
        "name": "ours",
        "version": "$LATEST",
        "memory": "512",
        "arn": "arn:aws:lambda:local:000000000000:function:ours",
        "has_time": True,
        "custom": {"k": 1},
    }
    assert ours["result"]["payload"] == expected
    said = json.dumps(theirs["result"]["payload"]).replace("theirs", "ours")
    assert json.loads(said) == expected
    for one in (ours, theirs):
        assert (one["result"]["StatusCode"], one["result"]["FunctionError"]) == (200, None)
        assert one["result"]["ExecutedVersion"] == "$LATEST"
        assert one["after"]["payload"]["event"] == {"n": 2}


def test_what_it_raises_has_one_shape(found: dict[str, Any]) -> None:
    ours, theirs = found["ours"]["raised"], found["theirs"]["raised"]
    assert (ours["StatusCode"], ours["FunctionError"]) == (200, "Unhandled")
    assert (theirs["StatusCode"], theirs["FunctionError"]) == (200, "Unhandled")
    assert ours["payload"].keys() == theirs["payload"].keys()
    for name in ("errorMessage", "errorType"):
        assert ours["payload"][name] == theirs["payload"][name]
    # The code lies in a folder of each package's own.
    stacks = [[re.sub(r'"[^"]*/code/', '"', line) for line in one["payload"]["stackTrace"]] for one in (ours, theirs)]
    assert stacks[0] == stacks[1] == ['  File "app.py", line 6, in handler\n    raise ValueError(event["raise"])\n']


def test_one_that_takes_too_long_is_broken_off(found: dict[str, Any]) -> None:
    for one in (found["ours"]["late"], found["theirs"]["late"]):
        assert (one["StatusCode"], one["FunctionError"]) == (200, "Unhandled")
        assert one["payload"]["errorType"] == "Sandbox.Timedout"
        assert one["payload"]["errorMessage"].endswith("Task timed out after 2.00 seconds")


def test_ways_of_invoking_and_refusals_are_lambdas(found: dict[str, Any]) -> None:
    assert "[ERROR] ValueError: no" in base64.b64decode(found["tail"]["LogResult"]).decode()
    assert found["event"]["StatusCode"] == 202
    assert (found["dry"]["StatusCode"], found["dry"]["payload"]) == (204, None)
    assert found["missing"] == {"error": "ResourceNotFoundException", "status": 404}
