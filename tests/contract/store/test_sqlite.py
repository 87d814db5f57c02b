"""What only the databases promise: the disk, other processes, failures of the disk, migrations."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.models import Lineage
from modelyard.domain.resources import ResourceName
from modelyard.errors import StoreFailed
from modelyard.settings import Home
from modelyard.store import tables
from modelyard.store.database import Database
from modelyard.store.migrate import DATABASES, MIGRATIONS, database_path, migrate, needs_migration
from modelyard.store.sqlite import open_store

REGISTER = """
import sys
from pathlib import Path
from modelyard.domain.models import Lineage
from modelyard.settings import Home
from modelyard.store.sqlite import open_store

store = open_store(Home(Path(sys.argv[1])))
for _ in range(25):
    print(store.models.register("price", "shop", "t" * 64, 1, None, Lineage(), 1.0).version)
store.close()
"""

REGISTER_FOR_EVER = """
import sys
from pathlib import Path
from modelyard.domain.models import Lineage
from modelyard.settings import Home
from modelyard.store.sqlite import open_store

store = open_store(Home(Path(sys.argv[1])))
while True:
    print(store.models.register("price", "shop", "t" * 64, 1, None, Lineage(), 1.0).version, flush=True)
"""

MIGRATE = """
import sys
from pathlib import Path
from modelyard.settings import Home
from modelyard.store.migrate import migrate, needs_migration

home = Home(Path(sys.argv[1]))
print(needs_migration(home), "alembic" in sys.modules or "sqlalchemy" in sys.modules)
migrate(home)
print(needs_migration(home))
"""


@pytest.fixture
def new_home(tmp_path):
    home = Home(tmp_path / "new %home")
    home.make()
    return home


def run(program, home):
    command = [sys.executable, "-W", "error", "-c", program, str(home.root)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def test_what_was_acknowledged_is_there_after_opening_again(home):
    first = open_store(home)
    first.deployments.apply("shop", Wanted({"price": EndpointSpec("a")}), 1.0)
    second = open_store(home)
    assert second.endpoints.get("price").project == "shop"
    first.close()
    second.close()


def test_versions_registered_by_several_processes_have_no_gaps(home):
    with ThreadPoolExecutor(3) as pool:
        printed = list(pool.map(lambda _: run(REGISTER, home), range(3)))
    assert sorted(int(one) for lines in printed for one in lines) == list(range(1, 76))


def test_what_a_killed_process_had_acknowledged_is_there_and_its_numbers_go_on(home):
    command = [sys.executable, "-c", REGISTER_FOR_EVER, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    store = open_store(home)
    there = [one.version for one in store.models.versions("price")]
    assert set(acknowledged) <= set(there)
    assert sorted(there) == list(range(1, len(there) + 1))
    assert store.models.register("price", "shop", "t", 1, None, Lineage(), 1.0).version == len(there) + 1
    store.close()


def test_a_column_that_a_later_version_added_to_a_spec_is_overlooked(home):
    store = open_store(home)
    store.deployments.apply("shop", Wanted({"price": EndpointSpec("a")}), 1.0)
    with closing(sqlite3.connect(database_path(home, "yard"))) as connection, connection:
        connection.execute("UPDATE endpoint_versions SET spec = json_set(spec, '$.from_the_future', 1)")
    assert store.endpoints.get("price").wished.spec == EndpointSpec("a")
    store.close()


@pytest.mark.parametrize(("database", "synchronous"), [("yard", "FULL"), ("queue", "FULL"), ("history", "NORMAL")])
def test_databases_write_ahead_and_sync_as_their_content_needs(home, database, synchronous):
    opened = Database(database_path(home, database), synchronous=synchronous)
    with opened.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == {"NORMAL": 1, "FULL": 2}[synchronous]
    opened.close()


def test_a_writer_waits_for_another_and_a_reader_waits_for_nobody(home):
    store = open_store(home)
    with closing(sqlite3.connect(database_path(home, "yard"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(store.keys.put_owner, "digest", 1.0)
            assert not store.keys.is_owner("digest")
            assert not writing.done()
            other.execute("COMMIT")
            writing.result(timeout=30)
    assert store.keys.is_owner("digest")
    store.close()


def test_a_full_disk_is_said_with_the_file_and_the_remedy_and_changes_nothing(home):
    database = Database(database_path(home, "yard"), synchronous="FULL")

    def fill():
        with database.write() as connection:
            # SQLite answers SQLITE_FULL at this bound exactly as it does on a full disk.
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            for number in range(1000):
                connection.execute(tables.links.insert().values(digest=f"{number}-" + "x" * 4000, expires_at=1.0))

    with pytest.raises(StoreFailed) as refused:
        fill()
    assert str(database.path) in refused.value.message
    assert "make room" in (refused.value.hint or "")
    with database.read() as connection:
        assert connection.execute(tables.links.select()).all() == []
    database.close()


def test_a_file_that_is_no_database_is_said_with_its_name(home):
    path = database_path(home, "queue")
    for name in (path, path.with_name("queue.db-wal"), path.with_name("queue.db-shm")):
        name.unlink(missing_ok=True)
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreFailed, match=r"queue\.db"):
        needs_migration(home)


def test_migrating_makes_all_databases_and_then_there_is_nothing_to_do(new_home):
    assert needs_migration(new_home)
    migrate(new_home)
    assert not needs_migration(new_home)
    migrate(new_home)
    store = open_store(new_home)
    store.events.add("yard", "yard", "stands", 1.0)
    store.close()


def test_asking_whether_to_migrate_imports_nothing_heavy(new_home):
    assert run(MIGRATE, new_home) == ["True", "False", "False"]


def test_several_processes_may_migrate_at_once(new_home):
    with ThreadPoolExecutor(3) as pool:
        printed = list(pool.map(lambda _: run(MIGRATE, new_home)[-1], range(3)))
    assert printed == ["False"] * 3


def test_databases_that_are_not_migrated_are_not_opened(new_home):
    with pytest.raises(StoreFailed, match="cannot open the databases") as refused:
        open_store(new_home)
    assert "modelyard up" in (refused.value.hint or "")


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_of_a_newer_version_is_refused_even_where_another_is_missing(home, database):
    path = database_path(home, database)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    database_path(home, "history" if database != "history" else "yard").unlink()
    for call in (needs_migration, migrate, open_store):
        with pytest.raises(StoreFailed, match="a newer version of Modelyard has written it") as refused:
            call(home)
        assert str(path) in refused.value.message
        assert "install that version again" in (refused.value.hint or "")


@pytest.mark.parametrize("database", DATABASES)
def test_migrations_lead_to_the_tables_that_the_code_uses(home, database):
    opened = Database(database_path(home, database), synchronous="FULL")
    with opened.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, getattr(tables, database)) == []
    opened.close()


@pytest.mark.parametrize("database", DATABASES)
def test_each_history_is_one_line_of_revisions_named_by_their_files(database):
    script = ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS / database)])
    revisions = [one.revision for one in script.walk_revisions()]
    files = sorted((one.name.partition("_")[0] for one in (MIGRATIONS / database).glob("r*.py")), reverse=True)
    assert revisions == files
    assert len(script.get_heads()) == 1


def test_models_registered_by_hand_do_not_count_as_one_run(home):
    store = open_store(home)
    by_hand = [store.models.register("price", "shop", "t", 1, None, Lineage(), 1.0).version for _ in range(2)]
    assert by_hand == [1, 2]
    store.close()


def test_a_standing_question_is_asked_again_only_after_somebody_wrote(home):
    database = Database(database_path(home, "yard"), synchronous="FULL")
    asked: list[int] = []

    def find(_connection) -> int:
        asked.append(1)
        return len(asked)

    with closing(database):
        assert [database.standing("how often", find) for _ in range(3)] == [1, 1, 1]
        with database.write() as connection:
            connection.execute(tables.removed_resources.insert().values(kind="site", key="own", last_number=1))
        assert database.standing("how often", find) == 2
        with closing(open_store(home)) as other:
            other.resources.select("site")
            assert database.standing("how often", find) == 2
            other.deployments.apply("shop", Wanted({"price": EndpointSpec("p" * 64)}), 1.0)
        assert [database.standing("how often", find) for _ in range(2)] == [3, 3]


def test_what_another_process_wished_is_selected_at_once(home):
    with closing(open_store(home)) as controller, closing(open_store(home)) as control:
        assert controller.resources.select("site") == []
        document = Wanted(resources={ResourceName("site", "shop"): {"path": "."}})
        control.deployments.apply("shop", document, 1.0)
        assert [one.name.name for one in controller.resources.select("site")] == ["shop"]
        control.resources.delete("site", "shop")
        assert controller.resources.select("site") == []
