"""The client against real HTTP."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelyard.errors import Ambiguous, InvalidValue, NotFound, Unauthorized, YardDown
from modelyard.sdk import Client
from tests.unit.sdk.small_yard import KEY, SmallYard

UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner"


def project(folder: Path, text: str) -> Path:
    (folder / "predictor.py").write_text("class Predictor: ...\n")
    (folder / "modelyard.yaml").write_text(text)
    return folder


def test_a_deploy_sends_the_code_the_model_and_what_the_file_wishes(
    client: Client, yard: SmallYard, tmp_path: Path
) -> None:
    (tmp_path / "price.ubj").write_bytes(UBJ)
    project(tmp_path, "- name: price\n  model: ./price.ubj\n  predictor: {path: predictor.py}\n  timeout: 5s\n")
    deployment = client.deploy(tmp_path, project="shop")
    assert [one["sentence"] for one in deployment.outcomes] == ["creating price (endpoint)"]
    (sent,) = yard.deployments
    (resource,) = sent["resources"]
    assert sent["project"] == "shop"
    assert resource["spec"] == {"timeout_seconds": 5.0}
    assert resource["model"]["framework"] == "xgboost"
    assert [one["path"] for one in yard.trees[resource["code"]]] == ["predictor.py", "price.ubj"]
    assert [one["path"] for one in yard.trees[resource["model"]["tree"]]] == ["price.ubj"]


def test_what_the_yard_has_is_not_sent_again(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    project(tmp_path, "- name: price\n  predictor: {path: predictor.py}\n")
    client.deploy(tmp_path)
    yard.requests.clear()
    client.deploy(tmp_path)
    assert not [path for method, path in yard.requests if method == "PUT"]


def test_a_model_file_is_deployed_without_a_yard_file(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    model = tmp_path / "My model_v2.joblib"
    model.write_bytes(b"\x80\x05 pickled")
    client.deploy(model)
    assert yard.deployments[0]["resources"][0]["name"] == "My-model-v2"
    assert yard.deployments[0]["resources"][0]["model"]["framework"] == "sklearn"


def test_a_file_that_no_loader_reads_is_refused_before_anything_is_sent(
    client: Client, yard: SmallYard, tmp_path: Path
) -> None:
    model = tmp_path / "net.safetensors"
    model.write_bytes(b"\x08\x07")
    with pytest.raises(InvalidValue, match="safetensors"):
        client.deploy(model)
    assert not yard.requests


def test_a_bad_yard_file_is_refused_before_anything_is_sent(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"modelyard\.yaml:2"):
        client.deploy(project(tmp_path, "- name: price\n  modle: price\n"))
    assert not yard.requests


@pytest.mark.parametrize(("settles_as", "serves"), [("live", True), ("error", False)])
def test_waiting_ends_when_an_endpoint_serves_or_cannot(
    client: Client, yard: SmallYard, tmp_path: Path, settles_as: str, serves: bool
) -> None:
    yard.settles_as = settles_as
    client.deploy(project(tmp_path, "- name: price\n  predictor: {path: predictor.py}\n"))
    seen: list[str] = []
    view = client.wait_endpoint("price", 1, limit_seconds=5.0, progress=lambda one: seen.append(one.state))
    assert view.state == settles_as
    assert seen[0] == "updating"


@pytest.mark.parametrize(
    ("data", "content_type", "body", "sent_type"),
    [
        ({"x": 1}, None, b'{"x": 1}', "application/json"),
        ("text", None, b'"text"', "application/json"),
        (b"\x00", None, b"\x00", "application/octet-stream"),
        ("1,2\n", "text/csv", b"1,2\n", "text/csv"),
        (np.array([[1.0, 2.0]]), None, b"[[1.0, 2.0]]", "application/json"),
        ({"x": np.int64(3)}, None, b'{"x": 3}', "application/json"),
    ],
)
def test_data_is_sent_as_what_it_is(
    client: Client, yard: SmallYard, data: object, content_type: str | None, body: bytes, sent_type: str
) -> None:
    yard.add_endpoint("price")
    assert client.predict("price", data, content_type=content_type) == {"rows": len(body)}
    assert yard.predictions == [(body, sent_type)]


def test_data_that_json_cannot_say_is_refused(client: Client) -> None:
    with pytest.raises(InvalidValue, match="JSON"):
        client.predict("price", object())


def test_a_run_gets_digests_text_and_the_commit(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("1,2\n")
    run = client.train(
        "fit",
        algorithm="xgboost",
        inputs={"train": "train.csv"},
        hyperparameters={"max_depth": 5, "eta": 0.2, "verbose": True},
        model="price",
        source=tmp_path,
        project="shop",
    )
    assert client.wait_run(run["id"], limit_seconds=5.0)["status"] == "Completed"
    (spec,) = yard.specs
    assert spec["hyperparameters"] == {"max_depth": "5", "eta": "0.2", "verbose": "true"}
    assert spec["code"] is None
    assert yard.trees[spec["inputs"]["train"]][0]["path"] == "train.csv"
    assert spec["git_commit"] is None


def test_a_script_is_sent_with_its_project(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "modelyard.yaml").write_text("- {name: fit, kind: training, entry: train.py}\n")
    client.train_file(tmp_path)
    assert [one["path"] for one in yard.trees[yard.specs[0]["code"]]] == ["train.py"]


def test_the_commit_of_a_work_tree_is_told_with_its_changes(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "train.py").write_text("print(1)\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    client.train("fit", entry="train.py", source=tmp_path)
    (tmp_path / "train.py").write_text("print(2)\n")
    client.train("fit", entry="train.py", source=tmp_path)
    clean, changed = (spec["git_commit"] for spec in yard.specs)
    assert len(clean) == 40
    assert changed == f"{clean}+changes"


def test_logs_come_by_lines(client: Client) -> None:
    assert list(client.run_logs("fit-1", follow=True)) == ["one", "two"]


def test_deleting_waits_until_the_endpoint_is_gone(client: Client, yard: SmallYard) -> None:
    yard.add_endpoint("price")
    client.delete_endpoint("price")
    assert not yard.endpoints


def test_a_name_that_means_two_things_is_refused_with_both(client: Client, yard: SmallYard) -> None:
    yard.add_endpoint("price")
    yard.add_model("price", "tree", None)
    with pytest.raises(Ambiguous) as refused:
        client.resolve("price", ("endpoint", "model"))
    assert refused.value.hint == "say endpoint/price or model/price"
    assert client.resolve("model/price", ("endpoint", "model")) == ("model", "price")
    assert client.resolve("PRICE", ("endpoint",)) == ("endpoint", "price")


def test_a_registered_file_tells_its_framework(client: Client, yard: SmallYard, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"learner": {}}')
    assert client.register("price", tmp_path / "model.json", project="p")["framework"] == "xgboost"


def test_errors_are_those_of_the_yard_with_their_remedy(client: Client) -> None:
    with pytest.raises(NotFound) as refused:
        client.endpoint("nobody")
    assert refused.value.hint == "a remedy"


def test_a_missing_key_says_how_to_give_it(yard: SmallYard) -> None:
    with Client(yard.url) as keyless, pytest.raises(Unauthorized) as refused:
        keyless.endpoints()
    assert "MODELYARD_API_KEY" in str(refused.value.hint)


def test_no_yard_at_all_says_how_to_start_one() -> None:
    with Client("http://127.0.0.1:1", KEY) as lonely, pytest.raises(YardDown) as refused:
        lonely.status()
    assert "modelyard up" in str(refused.value.hint)


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    heavy = ("httpx", "pydantic", "yaml", "rich", "typer", "numpy", "asyncio")
    program = f"import sys, modelyard.sdk; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
