"""A yard that is backed up while it works comes back as it was, in another home."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.yard import Load, Yard

pytestmark = pytest.mark.acceptance

ROWS = [[5.1, 3.5, 1.4, 0.2]]


def test_a_yard_is_backed_up_under_load_and_serves_again_from_another_home(
    yard: Yard, project: Callable[..., Path], iris_model: Path, tmp_path: Path
) -> None:
    path = project("- name: iris\n  model: iris.joblib\n  env: {TOKEN: {secret: token}}\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    client = yard.client()
    client.set_secret("token", "correct horse battery staple")
    client.register("iris", iris_model)
    client.deploy(path)
    client.wait_endpoint("iris")
    answer = client.predict("iris", ROWS)
    file = tmp_path / "yard.tar"
    with Load(yard, "iris", ROWS) as load:
        done = yard.command("backup", str(file), "--with-key", "-o", "json")
        assert done.returncode == 0, done.stderr
        load.wait_for_answers(20)
    assert load.failures == []
    assert json.loads(done.stdout)["with_keys"] is True
    refused = yard.command("restore", str(file))
    assert refused.returncode == 1
    assert "something is there already" in refused.stderr

    home = yard.home.with_name(f"{yard.home.name}-again")
    restored = Yard(home).command("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    again = Yard(home).up()
    try:
        other = again.client()
        assert other.wait_endpoint("iris").state == "live"
        assert other.predict("iris", ROWS) == answer
        assert [one["reference"] for one in other.models()] == ["iris:1"]
        assert [one.used_by for one in other.secrets()] == [["endpoint/iris"]]
        # Neither yard has touched the other's processes.
        assert client.predict("iris", ROWS) == answer
    finally:
        assert again.down() == 0
        again.close()
        shutil.rmtree(home)
