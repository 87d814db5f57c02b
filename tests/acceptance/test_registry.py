"""The story of a model: trained, promoted, approved, deployed, and asked where it came from and went."""

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from modelyard.errors import Conflict, ModelyardError
from modelyard.sdk.client import Client
from modelyard.sdk.views import RunView
from tests.acceptance.yard import Yard

TRAIN = """
import os, pathlib, sys
import joblib
from sklearn.dummy import DummyRegressor

data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
print("read", sorted(str(file.relative_to(data)) for file in data.rglob("*") if file.is_file()))
answer = float(sys.argv[sys.argv.index("--answer") + 1])
joblib.dump(DummyRegressor(strategy="constant", constant=answer).fit([[0.0]], [answer]),
            pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")
(pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "rows.csv").write_text("1,2")
"""

YARD_FILE = """
- {name: price, model: price@champion, require_approval: true}
"""


@pytest.fixture
def train(yard: Yard, tmp_path: Path) -> Callable[[str, int], RunView]:
    """Trains a model that gives one answer, from an input, and waits for it."""
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "train.csv").write_text("1,2\n")

    def run(source: str, answer: int) -> RunView:
        started = yard.client().train(
            "price-training",
            entry="train.py",
            inputs={"train": source},
            hyperparameters={"answer": answer},
            model="price",
            source=tmp_path,
            project="shop",
        )
        ended = yard.client().wait_run(started["id"], limit_seconds=60)
        assert ended["status"] == "Completed", ended
        return ended

    return run


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """URL of a folder that a web server shows."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "rows.csv").write_text("5,6\n")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def read_lines(client: Client, run: RunView) -> list[str]:
    return [line for line in client.run_logs(run["id"]) if line.startswith("read ")]


def test_a_promoted_and_approved_version_serves_and_knows_where_it_came_from_and_went(
    yard: Yard, project: Callable[..., Path], train: Callable[[str, int], RunView]
) -> None:
    client = yard.client()
    train("train.csv", 1)
    second = train("run:price-training-1/model", 2)
    file = project(YARD_FILE)
    client.promote("price:1", "champion")

    with pytest.raises(Conflict, match="waiting for approval") as refused:
        client.deploy(file, project="shop")
    assert "modelyard models approve price:1" in str(refused.value.hint)
    client.decide_model("price@champion", "approved", "looks right")
    client.deploy(file, project="shop")
    assert client.wait_endpoint("price").state == "live"
    assert client.predict("price", [[0.0]]) == [1.0]

    client.decide_model("price:2", "rejected", "leaks")
    assert client.promote("price:2", "champion")["behind"] == ["price"]
    assert client.predict("price", [[0.0]]) == [1.0]
    with pytest.raises(Conflict, match=r"rejected by .*\(leaks\)"):
        client.deploy(file, project="shop")
    client.decide_model("price:2", "approved")
    client.deploy(file, project="shop")
    assert client.wait_endpoint("price").state == "live"
    assert client.predict("price", [[0.0]]) == [2.0]
    assert client.deploy(file, project="shop").outcomes[0]["change"] == "is up to date"

    version = client.model_version("price@champion")
    assert version["lineage"].get("run") == second["id"]
    assert version["lineage"].get("parents") == {"train": "price:1"}
    assert version["lineage"].get("sources") == {"train": "run:price-training-1/model"}
    assert version["lineage"].get("inputs") == {"train": client.model_version("price:1")["tree"]}
    assert [(one["endpoint"], one["version"], one["asked"]) for one in version["serving"]] == [
        ("price", 2, "price@champion")
    ]
    first = client.model_version("price:1")
    assert first["serving"] == []
    assert [(one["endpoint"], one["version"]) for one in first["served"]] == [("price", 1)]
    said = [one["sentence"] for one in client.events("model", "price")]
    assert any(sentence.startswith("price@champion is price:2 now, before price:1") for sentence in said)
    assert any(sentence.startswith("price:2 rejected") and sentence.endswith(": leaks") for sentence in said)


def test_an_input_comes_from_a_url_or_from_what_an_earlier_run_put_out(
    yard: Yard, train: Callable[[str, int], RunView], web: str
) -> None:
    client = yard.client()
    first = train(f"{web}/rows.csv?signature=hidden", 1)
    assert first["sources"] == {"train": f"{web}/rows.csv"}
    assert read_lines(client, first) == ["read ['rows.csv']"]
    second = train(f"run:{first['id']}/output", 2)
    assert read_lines(client, second) == ["read ['rows.csv']"]
    assert second["inputs"] != first["inputs"]
    with pytest.raises(ModelyardError, match=r"cannot download .*/gone.csv.*\(input train\)"):
        train(f"{web}/gone.csv", 3)
