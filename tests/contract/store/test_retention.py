"""What retention finds needed in a real store, and what it leaves after freeing."""

import hashlib
import json
import os
import time

import pytest

from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.models import Lineage
from modelyard.domain.retention import Kind, decide_retention
from modelyard.domain.runs import RunSpec, RunStatus, RunStep
from modelyard.domain.transforms import TransformSpec, TransformStatus
from modelyard.errors import NotReady
from modelyard.settings import CareSettings
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.file_locks import shared
from modelyard.store.ports import TreeFile
from modelyard.store.retention import collect, find, free, remove_leftovers

DAY = 86400.0
CARE = CareSettings()


@pytest.fixture
def files(home):
    return FileArtifacts(home.artifacts)


def tree(artifacts, content):
    blob = artifacts.put_bytes(content)
    return artifacts.put_tree([TreeFile("file", blob, len(content))])


def run(home, store, artifacts, now):
    return collect(home, store, artifacts, CARE, now)


def run_spec(code=None, **fields):
    return RunSpec("t", "shop", None, "train.py", code, **fields)


def later():
    return time.time() + 2 * CARE.artifacts_kept_seconds


def test_what_models_endpoints_and_unfinished_runs_refer_to_stays_with_its_files(home, store, files):
    trees = {name: tree(files, name.encode()) for name in ("model", "input", "package", "code", "data", "orphan")}
    store.models.register("price", "shop", trees["model"], 1, None, Lineage(inputs={"train": trees["input"]}), 1.0)
    store.deployments.apply("shop", Wanted({"price": EndpointSpec(trees["package"])}), 1.0)
    store.runs.create(run_spec(code=trees["code"], inputs={"train": trees["data"]}), 1.0)
    freed = run(home, store, files, later())
    assert {one.name for one in freed} == {trees["orphan"], *(one.sha256 for one in _files_of(b"orphan"))}
    for name in ("model", "input", "package", "code", "data"):
        assert files.read(files.tree(trees[name])[0].sha256) == name.encode()


def _files_of(content):
    return [TreeFile("file", hashlib.sha256(content).hexdigest(), len(content))]


def test_what_an_ended_run_and_a_deleted_model_had_goes(home, store, files):
    code, model = tree(files, b"code"), tree(files, b"model")
    one = store.runs.create(run_spec(code=code), 1.0)
    store.runs.move(one.id, RunStatus.FAILED, RunStep.FAILED, 1.0)
    store.models.register("price", "shop", model, 1, None, Lineage(), 1.0)
    store.models.delete("price")
    run(home, store, files, later())
    assert files.stored() == []


def test_an_upload_in_flight_is_left_alone_and_so_is_what_it_asked_for(home, store, artifacts):
    now = time.time()
    blob = artifacts.put_bytes(b"sent just now")
    assert run(home, store, artifacts, now) == []
    # An hour later another upload hears that it is there already, and may name it in a moment.
    if isinstance(artifacts, FileArtifacts):
        os.utime(next(path for path in artifacts._root.glob("*/*") if path.is_file()), (1.0, 1.0))
        assert artifacts.missing([blob]) == []
        assert run(home, store, artifacts, now) == []
    assert artifacts.read(blob) == b"sent just now"


def test_an_artifact_touched_between_the_look_and_the_freeing_stays(home, store, artifacts):
    blob = artifacts.put_bytes(b"content")
    surplus = decide_retention(find(home, store, artifacts, CARE, later()), CARE, later())
    assert [one.name for one in surplus] == [blob]
    assert free(home, store, artifacts, surplus, CARE, time.time()) == []
    assert artifacts.has(blob)


def test_folders_of_ended_runs_are_thinned_and_then_go_and_others_stay(home, store, files):
    done, going = store.runs.create(run_spec(), 1.0), store.runs.create(run_spec(), 1.0)
    ended_at = 1000 * DAY
    store.runs.move(done.id, RunStatus.FAILED, RunStep.FAILED, ended_at)
    for one in (done, going):
        for part in ("input/data/train", "code", "output"):
            (home.runs / one.id / "ml" / part).mkdir(parents=True)
            (home.runs / one.id / "ml" / part / "file").write_text("x" * 10)
        (home.engine / "jobs" / one.id).mkdir()
        (home.engine / "jobs" / one.id / "output.log").write_text("x" * 5)
    assert run(home, store, files, ended_at + 1) == []
    (thinned,) = run(home, store, files, ended_at + 2 * DAY)
    assert (thinned.kind, thinned.size_bytes) == (Kind.RUN_INPUTS, 20)
    assert (home.runs / done.id / "ml" / "output" / "file").exists()
    assert not (home.runs / done.id / "ml" / "input").exists()
    (gone,) = run(home, store, files, ended_at + 31 * DAY)
    assert (gone.kind, gone.size_bytes) == (Kind.RUN, 15)
    assert [one.name for one in home.runs.iterdir()] == [going.id]
    assert [one.name for one in (home.engine / "jobs").iterdir()] == [going.id]
    assert (home.runs / going.id / "ml" / "code" / "file").exists()


def test_a_package_laid_out_goes_when_no_endpoint_has_it_and_nothing_runs_it(home, store, files):
    used, running, unused = (tree(files, name) for name in (b"used", b"running", b"unused"))
    for digest in (used, running, unused):
        files.lay_out(digest, home.packages / digest, share=True)
        os.utime(home.packages / digest, (1.0, 1.0))
    store.deployments.apply("shop", Wanted({"price": EndpointSpec(used)}), 1.0)
    (home.engine / "replicas" / "one").mkdir()
    (home.engine / "replicas" / "one" / "order.json").write_text(json.dumps({"package_digest": running}))
    freed = run(home, store, files, time.time())
    assert [(one.kind, one.name) for one in freed] == [(Kind.PACKAGE, unused)]
    assert {one.name for one in home.packages.iterdir()} == {used, running}


def test_a_package_that_is_deployed_between_the_look_and_the_freeing_stays(home, store, files):
    digest = tree(files, b"package")
    files.lay_out(digest, home.packages / digest, share=True)
    now = time.time() + 2 * DAY
    surplus = decide_retention(find(home, store, files, CARE, now), CARE, now)
    store.deployments.apply("shop", Wanted({"price": EndpointSpec(digest)}), 1.0)
    free(home, store, files, [one for one in surplus if one.kind is Kind.PACKAGE], CARE, now)
    assert (home.packages / digest / "file").exists()


def test_what_a_killed_process_had_begun_to_remove_is_removed(home):
    (home.runs / ".freed-1" / "ml").mkdir(parents=True)
    (home.packages / ".freed-2").mkdir()
    remove_leftovers(home)
    assert not [*home.runs.iterdir(), *home.packages.iterdir()]


def test_old_events_go(store):
    store.events.add("run", "old", "then", 1.0)
    store.events.add("run", "new", "now", 10.0)
    assert store.events.count_before(10.0) == 1
    assert store.events.drop_before(10.0) == 1
    assert [one.name for one in store.events.select()] == ["new"]


def test_nothing_is_freed_while_a_backup_is_being_written(home, store, files):
    tree(files, b"orphan")
    with shared(home.retention_lock), pytest.raises(NotReady, match="a backup is being written"):
        run(home, store, files, later())
    assert len(run(home, store, files, later())) == 2


def test_a_dry_run_tells_the_same_and_frees_nothing(home, store, files):
    tree(files, b"orphan")
    told = collect(home, store, files, CARE, later(), dry_run=True)
    assert len(files.stored()) == 2
    assert run(home, store, files, later()) == told
    assert files.stored() == []


def test_an_imported_package_stays_without_an_endpoint_for_its_time_and_goes_then(home, store, files):
    package = tree(files, b"imported")
    (home.imports / package).touch()
    now = later()
    assert run(home, store, files, now) == []
    assert files.has(package)
    told = collect(home, store, files, CARE, now + CARE.imports_kept_seconds, dry_run=True)
    assert (Kind.IMPORT, package, "imported more than 30 days ago") in [
        (one.kind, one.name, one.reason) for one in told
    ]
    run(home, store, files, now + CARE.imports_kept_seconds)
    assert not files.has(package)
    assert list(home.imports.iterdir()) == []


def test_a_transform_that_ended_long_ago_leaves_with_the_folders_of_all_its_processes(home, store, files):
    long_ago = time.time() - 31 * DAY
    store.transforms.create(TransformSpec("old", "shop", "d" * 64, "/in", "/out"), long_ago)
    store.transforms.create(TransformSpec("new", "shop", "d" * 64, "/in", "/out"), long_ago)
    folders = [home.transforms / name for name in ("old-1", "new-1")]
    folders += [home.engine / "jobs" / name for name in ("old-1.1", "old-1.2", "new-1.1")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"12345")
    store.transforms.end("old-1", TransformStatus.COMPLETED, long_ago)
    freed = run(home, store, files, time.time())
    assert [(one.kind, one.name, one.size_bytes) for one in freed] == [(Kind.TRANSFORM, "old-1", 15)]
    assert [folder.exists() for folder in folders] == [False, True, False, False, True]
