import io
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing

import pytest

from modelyard.domain.models import Lineage
from modelyard.domain.users import ApiKey, Session, User
from modelyard.errors import Conflict, InvalidValue, NotFound, StoreFailed
from modelyard.settings import Home
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.backup import FORMAT, Description, back_up
from modelyard.store.migrate import database_path, migrate
from modelyard.store.restore import restore
from modelyard.store.sqlite import open_store

VALUE = "correct horse battery staple"


def describe(*, with_keys=False):
    return Description(FORMAT, "0.1.0", 1.0, with_keys)


@pytest.fixture
def filled(home):
    """A home with a model, a secret, a run's output, a session and a key."""
    store, artifacts = open_store(home), FileArtifacts(home.artifacts)
    (home.spool / "model").mkdir()
    (home.spool / "model" / "model.json").write_text("{}")
    tree = artifacts.put_folder(home.spool / "model")
    store.models.register("price", "shop", tree, 2, "xgboost", Lineage(), 1.0)
    store.secrets.put("token", VALUE, 1.0)
    store.keys.put_owner("digest of the key", 1.0)
    store.keys.put_session("session", Session("s-1", None, 1.0, 1e12))
    store.keys.put_key("digest of a program's key", ApiKey("k-1", "ci", None, (), 1.0))
    store.users.add(User("ada@a.org", "Ada", 1.0), "hash of a password")
    store.close()
    home.key.write_text("the key")
    for run, ended in (("t-1", True), ("t-2", False)):
        for part in ("input", "model", "output"):
            (home.runs / run / "ml" / part).mkdir(parents=True)
            (home.runs / run / "ml" / part / "file").write_text(part)
        (home.engine / "jobs" / run).mkdir()
        for name in ("order.json", "process.json", "output.log") + (("exit.json",) if ended else ()):
            (home.engine / "jobs" / run / name).write_text("{}")
    return home


@pytest.fixture
def elsewhere(tmp_path):
    return Home(tmp_path / "elsewhere" / "home")


def names(file):
    with tarfile.open(file) as tar:
        return [one.name for one in tar]


def test_what_a_yard_remembers_comes_back(filled, elsewhere, tmp_path):
    backed_up = back_up(filled, tmp_path / "yard.tar", describe())
    assert restore(tmp_path / "yard.tar", elsewhere) == backed_up
    store, artifacts = open_store(elsewhere), FileArtifacts(elsewhere.artifacts)
    model = store.models.get("price")
    assert [one.path for one in artifacts.tree(model.tree)] == ["model.json"]
    assert (elsewhere.runs / "t-1" / "ml" / "output" / "file").read_text() == "output"
    assert [one.name for one in store.secrets.select()] == ["token"]
    store.close()


def test_what_mlflow_keeps_comes_back_but_for_copies_of_models(filled, elsewhere, tmp_path):
    logged, laid_out = filled.tracking_artifacts / "1" / "r-1" / "notes.txt", filled.tracking_registry / "price" / "1"
    for file in (logged, laid_out / "MLmodel", filled.tracking_artifacts / ".registering-1" / "file"):
        file.parent.mkdir(parents=True)
        file.write_text("notes")
    with closing(sqlite3.connect(filled.tracking_database)) as connection, connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
        connection.execute("INSERT INTO runs VALUES ('r-1')")
    back_up(filled, tmp_path / "yard.tar", describe())
    restore(tmp_path / "yard.tar", elsewhere)
    with closing(sqlite3.connect(elsewhere.tracking_database)) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("r-1",)]
    kept = {one.relative_to(elsewhere.tracking).as_posix() for one in elsewhere.tracking.rglob("*") if one.is_file()}
    assert kept == {"mlflow.db", "artifacts/1/r-1/notes.txt"}


def test_a_backup_is_its_owners_alone_and_so_is_a_restored_home(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe(with_keys=True))
    restore(tmp_path / "yard.tar", elsewhere)
    for path in (tmp_path / "yard.tar", elsewhere.root, elsewhere.key, elsewhere.secrets_key):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_without_keys_nobody_is_let_in_and_no_secret_told(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    assert not {"key", "secrets.key"} & set(names(tmp_path / "yard.tar"))
    content = (tmp_path / "yard.tar").read_bytes()
    opening = (b"the key", VALUE.encode(), b"digest of the key", b"digest of a program", b"hash of a p")
    assert not [one for one in opening if one in content]
    restore(tmp_path / "yard.tar", elsewhere)
    store = open_store(elsewhere)
    assert not store.keys.is_owner("digest of the key")
    assert store.keys.session("session", 1.0) is None
    assert store.keys.api_keys() == []
    assert [(one.email, one.has_password) for one in store.users.select()] == [("ada@a.org", False)]
    with pytest.raises(StoreFailed, match="cannot read secret token"):
        store.secrets.reveal(["token"])
    store.close()
    store = open_store(filled)
    assert store.keys.session("session", 1.0) is not None
    store.close()


def test_with_its_keys_a_yard_is_the_same(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe(with_keys=True))
    assert restore(tmp_path / "yard.tar", elsewhere).with_keys
    store = open_store(elsewhere)
    assert store.secrets.reveal(["token"]) == {"token": VALUE}
    assert store.keys.is_owner("digest of the key")
    assert elsewhere.key.read_text() == "the key"
    store.close()


def test_of_runs_only_what_ended_is_taken_and_no_process_is_named(filled, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    found = {one for one in names(tmp_path / "yard.tar") if one.startswith(("runs", "engine"))}
    assert found == {
        "engine/jobs/t-1/order.json",
        "engine/jobs/t-1/exit.json",
        "engine/jobs/t-1/output.log",
        "runs/t-1/ml/model/file",
        "runs/t-1/ml/output/file",
    }


def test_a_backup_under_writes_has_one_moment_of_each_database(filled, elsewhere, tmp_path):
    store = open_store(filled)
    stop = threading.Event()
    acknowledged = []

    def write():
        while not stop.is_set():
            acknowledged.append(store.models.register("busy", "shop", "t" * 64, 1, None, Lineage(), 1.0).version)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(acknowledged) < 20:
            pass
        before = len(acknowledged)
        back_up(filled, tmp_path / "yard.tar", describe())
    finally:
        stop.set()
        writer.join()
    store.close()
    restore(tmp_path / "yard.tar", elsewhere)
    restored = open_store(elsewhere)
    there = [one.version for one in restored.models.versions("busy")]
    assert sorted(there) == list(range(1, len(there) + 1))
    assert len(there) >= before
    restored.close()


def test_a_home_with_anything_in_it_is_not_restored_into(filled, home, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    with pytest.raises(Conflict, match="something is there already"):
        restore(tmp_path / "yard.tar", home)


def test_an_empty_folder_is_a_good_home(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    elsewhere.root.mkdir(parents=True)
    restore(tmp_path / "yard.tar", elsewhere)
    assert database_path(elsewhere, "yard").exists()


def test_a_backup_replaces_nothing_and_is_not_written_into_its_home(filled, tmp_path):
    (tmp_path / "there").write_text("precious")
    for target in (tmp_path / "there", filled.root / "yard.tar"):
        with pytest.raises(Conflict):
            back_up(filled, target, describe())
    with pytest.raises(NotFound):
        back_up(filled, tmp_path / "no folder" / "yard.tar", describe())
    assert (tmp_path / "there").read_text() == "precious"


def test_a_home_where_no_yard_ran_is_not_backed_up(elsewhere, tmp_path):
    with pytest.raises(NotFound, match="no yard has run there"):
        back_up(elsewhere, tmp_path / "yard.tar", describe())


def altered(file, name, change):
    """The same backup with one member changed: `change` gets its header and content."""
    made = file.with_name("altered.tar")
    with tarfile.open(file) as old, tarfile.open(made, "w") as new:
        for found in old:
            content = old.extractfile(found).read()
            member, content = change(found, content) if found.name.startswith(name) else (found, content)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return made


def named(name):
    def change(member, content):
        member.name = name
        return member, content

    return change


def linked(member, content):
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member, b""


def test_a_changed_artifact_is_found(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    broken = altered(tmp_path / "yard.tar", "artifacts/", lambda member, content: (member, content + b" "))
    with pytest.raises(InvalidValue, match="another content than its name says"):
        restore(broken, elsewhere)
    assert not list(elsewhere.root.parent.iterdir())


@pytest.mark.parametrize("change", [named("../escaped"), named("/tmp/escaped"), named("log/x"), linked])
def test_what_has_no_place_in_a_backup_is_refused_and_nothing_is_left(filled, elsewhere, tmp_path, change):
    back_up(filled, tmp_path / "yard.tar", describe())
    with pytest.raises(InvalidValue, match="damaged"):
        restore(altered(tmp_path / "yard.tar", "runs/", change), elsewhere)
    assert not list(elsewhere.root.parent.iterdir())


def test_a_backup_that_was_cut_off_is_refused(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    content = (tmp_path / "yard.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidValue):
        restore(tmp_path / "cut.tar", elsewhere)


@pytest.mark.parametrize("content", [b"", b"hello" * 1000])
def test_another_file_is_no_backup(elsewhere, tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(InvalidValue):
        restore(tmp_path / "other", elsewhere)


def test_a_backup_of_a_newer_version_is_refused(filled, elsewhere, tmp_path):
    with closing(sqlite3.connect(database_path(filled, "yard"))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    back_up(filled, tmp_path / "yard.tar", describe())
    with pytest.raises(StoreFailed, match="a newer version of Modelyard has written it"):
        restore(tmp_path / "yard.tar", elsewhere)


def test_a_restored_home_can_be_migrated(filled, elsewhere, tmp_path):
    back_up(filled, tmp_path / "yard.tar", describe())
    restore(tmp_path / "yard.tar", elsewhere)
    elsewhere.make()
    migrate(elsewhere)
