"""A yard keeps its disk in order while it serves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import NoRoom
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

LOG_BYTES_MAX = 20_000
TALKATIVE = """
class Predictor:
    def predict(self, payload):
        for number in range(payload["first"], payload["first"] + payload["count"]):
            print(f"said {number:06d}")
        return payload["count"]
"""


def test_a_log_that_grows_too_large_begins_anew_and_its_last_lines_are_all_there(
    yard: Yard, project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert yard.down() == 0
    monkeypatch.setenv("MODELYARD_LOG_BYTES_MAX", str(LOG_BYTES_MAX))
    yard.up()
    client = yard.client()
    client.deploy(project("- name: talker\n  predictor: {path: predictor.py}\n", predictor__py=TALKATIVE))
    client.wait_endpoint("talker")
    assert client.predict("talker", {"first": 0, "count": 5000}) == 5000
    logs = yard.home / "engine" / "replicas"
    eventually(lambda: list(logs.glob("*/output.log.1")), 30, "the log's earlier part")
    assert all(one.stat().st_size <= LOG_BYTES_MAX for one in logs.glob("*/output.log"))
    client.predict("talker", {"first": 5000, "count": 10})
    said = [line.split()[-1] for line in client.endpoint_logs("talker", lines=100) if "said" in line]
    assert said == [f"{number:06d}" for number in range(4910, 5010)]


def test_a_disk_that_is_nearly_full_stops_new_work_and_not_predictions(
    yard: Yard, project: Callable[..., Path], iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project("- name: iris\n  model: iris.joblib\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    yard.client().deploy(path)
    yard.client().wait_endpoint("iris")
    with monkeypatch.context() as settings:
        settings.setenv("MODELYARD_DISK_FREE_BYTES_MIN", "1e18")
        settings.setenv("MODELYARD_DISK_FREE_SHARE_MIN", "1")
        assert yard.down() == 0
        yard.up()
    client = yard.client()
    assert client.status()["disk"]["refusing"]
    eventually(lambda: client.endpoint("iris").state == "live")
    with pytest.raises(NoRoom, match="it keeps"):
        client.deploy(path)
    assert client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])
    assert yard.down() == 0
    yard.up()
    assert yard.client().deploy(path).outcomes[0]["change"] == "is up to date"


def test_what_nothing_needs_is_shown_and_freed_and_what_serves_goes_on(
    yard: Yard, project: Callable[..., Path], iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert yard.down() == 0
    for name in ("ARTIFACTS", "PACKAGES", "RUN_INPUTS"):
        monkeypatch.setenv(f"MODELYARD_{name}_KEPT_SECONDS", "0")
    yard.up()
    client = yard.client()
    path = project("- name: iris\n  model: iris.joblib\n", script__py="print('done')\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    client.deploy(path)
    client.wait_endpoint("iris")
    run = client.train("t", entry="script.py", source=path.parent)
    assert client.wait_run(run["id"], limit_seconds=60)["status"] == "Completed"
    shown = client.collect(dry_run=True)
    assert {one["kind"] for one in shown["surplus"]} == {"artifact", "run inputs"}
    assert client.collect()["size_bytes"] >= shown["size_bytes"]
    assert not (yard.home / "runs" / run["id"] / "ml" / "code").exists()
    assert "done" in "\n".join(client.run_logs(run["id"]))
    client.refresh("iris")
    eventually(lambda: client.endpoint("iris").serving_version == 2)
    assert client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])
