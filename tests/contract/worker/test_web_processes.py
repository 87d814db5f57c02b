"""An app's program, started, watched and ended by its replica: nobody whom it started outlives that."""

import json
import os
import sys
from pathlib import Path

from modelyard_worker.process_tree import children

from tests.contract.worker.replica_harness import Place, wait_until

PROGRAM = """
import http.server, os, subprocess, sys, time

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
left = subprocess.run([sys.executable, "-c", f"import subprocess; "
    f"print(subprocess.Popen({SLEEP!r}, start_new_session=True, stdout=-3, stderr=-3).pid)"],
    capture_output=True, text=True, check=True).stdout.strip()
near = subprocess.Popen(SLEEP)
print("started", os.getpid(), near.pid, left, flush=True)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 500)
        self.end_headers()
    def log_message(self, *words): pass

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""


def app(place: Place) -> Path:
    package = place.package()
    (package / "code" / "program.py").write_text(PROGRAM)
    document = json.loads((package / "package.json").read_text())
    document["app"] = {"command": [sys.executable, "program.py"], "environment": {}, "health": "/ready"}
    (package / "package.json").write_text(json.dumps(document))
    return package


def started(output: str) -> list[int]:
    return [int(word) for line in output.splitlines() if line.startswith("started") for word in line.split()[1:]]


def is_there(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_it_says_where_its_program_listens_and_predicts_nothing(place: Place) -> None:
    with place.replica(app(place)) as replica:
        client = replica.connect()
        assert client.hello["web"].startswith("127.0.0.1:")
        assert client.ask(b"").status == 404


def test_at_its_end_all_whom_its_program_started_end(place: Place) -> None:
    with place.replica(app(place), stop_socket_seconds=0.0) as replica:
        replica.connect().close()
        pids = started(replica.output)
        assert len(pids) == 3
        assert all(is_there(pid) for pid in pids)
        replica.tell_to_leave()
        assert replica.wait_for_exit()["code"] == 0
        assert not [pid for pid in pids if is_there(pid)]


def test_killed_it_takes_them_along(place: Place) -> None:
    with place.replica(app(place)) as replica:
        replica.connect().close()
        pids = [*started(replica.output), *children(replica.pid)]
        assert replica.process is not None
        replica.process.kill()
        replica.process.wait()
        wait_until(lambda: not [pid for pid in pids if is_there(pid)], "their end")


def test_when_the_program_ends_the_replica_does_and_says_how(place: Place) -> None:
    with place.replica(app(place)) as replica:
        replica.connect().close()
        pids = started(replica.output)
        os.kill(pids[0], 9)
        assert replica.wait_for_exit()["reason"] == "the app's command ended with exit code -9"
        wait_until(lambda: not [pid for pid in pids if is_there(pid)], "their end")


def test_a_program_that_ends_before_it_listens_is_said_so(place: Place) -> None:
    package = app(place)
    (package / "code" / "program.py").write_text("import nothing_of_that_name\n")
    with place.replica(package) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert "ended with exit code 1 before it listened" in reason
        assert "nothing_of_that_name" in replica.output
