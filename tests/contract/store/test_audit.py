import pytest

from modelyard.domain.audit import Audited
from modelyard.store.audit import SqlAudit
from modelyard.store.database import Database
from modelyard.store.memory_access import MemoryAudit
from modelyard.store.migrate import database_path

AUDIT_MAX = 5


@pytest.fixture(params=["sqlite", "memory"])
def audit(request, home):
    if request.param == "memory":
        yield MemoryAudit(AUDIT_MAX)
        return
    database = Database(database_path(home, "history"), synchronous="NORMAL")
    yield SqlAudit(database, AUDIT_MAX)
    database.close()


def entry(at, principal="owner", action="DELETE /endpoints/price", outcome="202"):
    return Audited(at, principal, action, outcome, "10.0.0.1", f"request-{at:g}")


def test_entries_are_shown_newest_first_and_in_pages(audit):
    for at in (1.0, 2.0, 3.0):
        audit.add(entry(at))
    newest = audit.select(limit=2)
    assert [one.at for one in newest] == [3.0, 2.0]
    assert [one.at for one in audit.select(before=newest[-1].number)] == [1.0]
    assert [one.at for one in audit.select(since=2.0)] == [3.0, 2.0]


def test_any_field_can_be_searched(audit):
    audit.add(entry(1.0, principal="user ada@a.org"))
    audit.add(entry(2.0, outcome="403 forbidden"))
    assert [one.at for one in audit.select("ada@")] == [1.0]
    assert [one.at for one in audit.select("403")] == [2.0]
    assert [one.at for one in audit.select("request-2")] == [2.0]
    assert audit.select("100%_") == []


def test_the_oldest_go_beyond_the_bound(audit):
    for at in range(1, 21):
        audit.add(entry(float(at)))
    assert [one.at for one in audit.select()][:3] == [20.0, 19.0, 18.0]
    assert len(audit.select()) <= 2 * AUDIT_MAX
