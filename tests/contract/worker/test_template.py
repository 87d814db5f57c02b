"""What a template does when it is told to, and what it refuses."""

import json
import signal
import socket
from pathlib import Path

import pytest
from modelyard_worker import records

from tests.contract.worker.replica_harness import Place, Template, wait_until

WHOAMI = """
import os
import random
import sys

class Predictor:
    def __init__(self, config):
        print("constructed", flush=True)

    def predict(self, payload):
        if payload == "die":
            os.kill(os.getpid(), 9)
        return {
            "pid": os.getpid(),
            "session": os.getsid(0),
            "parent": os.getppid(),
            "files": sorted(os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if int(one) < 3),
            "sockets": sum(os.path.islink(f"/proc/self/fd/{one}") and "socket:" in os.readlink(f"/proc/self/fd/{one}")
                           for one in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{one}")),
            "random": random.random(),
            "numpy": float(sys.modules["numpy"].random.random()) if "numpy" in sys.modules else None,
            "cwd": os.getcwd(),
            "currency": os.environ.get("CURRENCY"),
            "omp": os.environ["OMP_NUM_THREADS"],
            "modules": [one for one in ("numpy", "decimal") if one in sys.modules],
        }
"""


def test_a_template_answers_ping_with_one_thread(place: Place) -> None:
    with place.template() as template:
        assert template.command("ping") == {"ok": True, "threads": 1, "children": 0}


def test_a_wrong_token_is_refused(place: Place) -> None:
    with place.template() as template:
        answer = template.command("ping", token="another")
        assert answer["ok"] is False
        assert "token" in answer["error"]


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"token": 7}\n'])
def test_a_line_that_is_no_command_is_answered_and_survived(place: Place, line: bytes) -> None:
    with place.template() as template:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(template.socket)
            client.sendall(line)
            assert json.loads(client.makefile("rb").readline())["ok"] is False
        assert template.command("ping")["ok"]


def test_an_import_says_how_long_it_took_and_goes_on_without_what_is_not_there(place: Place) -> None:
    with place.template() as template:
        assert template.command("import", libraries=["decimal"])["seconds"] >= 0
        assert template.command("import", libraries=["nothing_of_that_name"])["ok"] is True


def test_a_forked_replica_is_a_process_of_its_own(place: Place) -> None:
    package = place.package(WHOAMI)
    with place.template() as template:
        one, two = place.replica_folder(package), place.replica_folder(package)
        template.command("import", libraries=["numpy"])
        first = template.fork(one, libraries=["decimal"], environment={"CURRENCY": "EUR"}, numeric_threads=2)
        second = template.fork(two)
        said = one.connect().ask("hello").json
        other = two.connect().ask("hello").json
        assert said["pid"] == first["pid"] == said["session"]
        assert other["pid"] == second["pid"]
        assert said["files"] == ["/dev/null", str(one.folder / "output.log"), str(one.folder / "output.log")]
        assert said["sockets"] <= 4  # its listener, this connection, the loop's own pair: none of the template's
        assert said["random"] != other["random"]
        assert said["numpy"] != other["numpy"]
        assert said["cwd"] == str(package / "code")
        assert (said["currency"], other["currency"]) == ("EUR", None)
        assert (said["omp"], other["omp"]) == ("2", "1")
        assert said["modules"] == ["numpy", "decimal"]
        assert one.output == "constructed\n"
        assert (one.folder / "output.log").stat().st_mode & 0o777 == 0o600
        assert template.command("ping")["children"] == 2


def test_the_end_of_a_child_is_recorded(place: Place) -> None:
    with place.template() as template:
        replica = place.replica_folder(place.package(WHOAMI))
        template.fork(replica)
        client = replica.connect()
        client.request(b'"die"')
        found = replica.wait_for_exit()
        assert (found["code"], found["by"], found["reason"]) == (-9, "signal", "ended by SIGKILL")
        wait_until(lambda: template.command("ping")["children"] == 0, "the child being forgotten")


def test_what_a_child_recorded_itself_stays(place: Place) -> None:
    with place.template() as template:
        replica = place.replica_folder(place.package("raise ValueError('no such currency')\n"))
        assert template.fork(replica)["ok"]
        found = replica.wait_for_exit()
        assert (found["code"], found["reason"]) == (1, "ValueError: no such currency")
        wait_until(lambda: template.command("ping")["children"] == 0, "the child being reaped")
        assert replica.exit == found


def test_children_outlive_their_template(place: Place) -> None:
    with place.template() as template:
        replica = place.replica_folder(place.package(WHOAMI))
        template.fork(replica)
        client = replica.connect()
        assert template.process is not None
        template.process.send_signal(signal.SIGTERM)
        template.process.wait(10)
        assert client.ask("hello").status == 200


def test_a_template_with_threads_refuses_to_fork(place: Place) -> None:
    (place.root / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place.root))
        with place.template() as template:
            answer = template.fork(place.replica_folder(place.package(WHOAMI)), libraries=["threaded"])
            assert answer == {"ok": False, "error": "threads exist: 2", "cannot_fork": True}


def test_a_template_takes_the_place_of_a_dead_ones_socket(place: Place) -> None:
    path = place.root / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with place.template(socket=str(path)) as template:
        answer = Template(place, template.folder, str(path), None).command("ping")
        assert answer["ok"]


def test_a_template_below_loads_once_for_all_its_replicas(place: Place) -> None:
    code = """
import os

class Predictor:
    @classmethod
    def load(cls, config):
        print("loading", flush=True)
        return {"loaded_in": os.getpid(), "weights": config["weights"]}

    def __init__(self, config, loaded):
        self.loaded = loaded

    def predict(self, payload):
        return self.loaded
"""
    package = place.package(code, config={"weights": [1, 2]})
    with place.template() as template:
        below = template.fork_template(package)
        identity = records.read_identity(str(below.folder))
        assert identity is not None
        replicas = [place.replica_folder(package) for _ in range(2)]
        for replica in replicas:
            assert below.fork(replica)["ok"]
        said = [replica.connect().ask(None).json for replica in replicas]
        assert said == [{"loaded_in": identity.pid, "weights": [1, 2]}] * 2
        assert (below.folder / "output.log").read_text() == "loading\n"
        assert template.command("ping")["children"] == 1
        refused = below.fork(place.replica_folder(place.package(code)))
        assert "this template holds" in refused["error"]


def test_a_template_below_that_cannot_load_says_why(place: Place) -> None:
    with place.template() as template:
        below = template.fork_template(place.package("raise ValueError('no weights')\n"))
        found = wait_until(lambda: records.read_json(str(below.folder / "exit.json")), "the exit record")
        assert found["reason"] == "ValueError: no weights"
        assert "Traceback" in (below.folder / "output.log").read_text()
        assert template.command("ping")["ok"]


def test_the_same_package_without_a_template_loads_for_itself(place: Place) -> None:
    code = """
class Predictor:
    @classmethod
    def load(cls, config):
        return "weights"

    def __init__(self, config, loaded):
        self.loaded = loaded

    def predict(self, payload):
        return self.loaded
"""
    with place.replica(place.package(code)) as replica:
        assert replica.connect().ask(None).json == "weights"


def test_no_command_can_make_a_template_write_elsewhere(place: Place, tmp_path: Path) -> None:
    with place.template() as template:
        assert template.command("fork", folder=str(tmp_path / "nowhere"))["ok"] is False
        assert list(tmp_path.iterdir()) == []
