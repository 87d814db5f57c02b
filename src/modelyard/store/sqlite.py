"""The store on SQLite: three files, because they differ in how often and how safely they are written.

| file | holds | a commit survives |
|---|---|---|
| `yard.db` | wishes, facts, models, people, keys, secrets | a power cut |
| `queue.db` | runs, transforms, invocations, how far schedules are | a power cut |
| `history.db` | events, scaling, metrics, audit, alarms | a crash of the process |
"""

from modelyard.errors import StoreFailed
from modelyard.settings import Home
from modelyard.store.alarms import SqlAlarms
from modelyard.store.audit import SqlAudit
from modelyard.store.database import Database
from modelyard.store.deployments import SqlDeployments
from modelyard.store.endpoints import SqlEndpoints
from modelyard.store.events import SqlEvents
from modelyard.store.invocations import SqlInvocations
from modelyard.store.keys import SqlKeys
from modelyard.store.limits import EVENTS_MAX
from modelyard.store.metrics import SqlMetrics
from modelyard.store.migrate import database_path, needs_migration
from modelyard.store.models import SqlModels
from modelyard.store.providers import SqlProviders
from modelyard.store.resources import SqlResources
from modelyard.store.runs import SqlRuns
from modelyard.store.scaling import SqlScaling
from modelyard.store.schedules import SqlSchedules
from modelyard.store.seals import Seals
from modelyard.store.secrets import SqlSecrets
from modelyard.store.tracking import SqlTracking
from modelyard.store.transforms import SqlTransforms
from modelyard.store.tunings import SqlTunings
from modelyard.store.users import SqlUsers


class SqliteStore:
    """Implements `ports.Store`. Safe for many threads and processes at once."""

    def __init__(self, home: Home, events_max: int = EVENTS_MAX) -> None:
        self._yard = Database(database_path(home, "yard"), synchronous="FULL")
        self._queue = Database(database_path(home, "queue"), synchronous="FULL")
        self._history = Database(database_path(home, "history"), synchronous="NORMAL")
        self.deployments = SqlDeployments(self._yard)
        self.resources = SqlResources(self._yard)
        self.endpoints = SqlEndpoints(self._yard)
        self.models = SqlModels(self._yard)
        self.runs = SqlRuns(self._queue)
        self.tunings = SqlTunings(self._queue)
        self.transforms = SqlTransforms(self._queue)
        self.schedules = SqlSchedules(self._queue)
        self.invocations = SqlInvocations(self._queue)
        self.events = SqlEvents(self._history, events_max)
        self.scaling = SqlScaling(self._history)
        self.metrics = SqlMetrics(self._history)
        self.alarms = SqlAlarms(self._history)
        self.tracking = SqlTracking(self._history)
        self.keys = SqlKeys(self._yard)
        self.users = SqlUsers(self._yard)
        self.providers = SqlProviders(self._yard)
        self.audit = SqlAudit(self._history)
        self.secrets = SqlSecrets(self._yard, Seals(home.secrets_key))

    def close(self) -> None:
        for database in (self._yard, self._queue, self._history):
            database.close()


def open_store(home: Home, events_max: int = EVENTS_MAX) -> SqliteStore:
    """Opens the databases of a home. Raises StoreFailed where they are not there or of another version's schema."""
    if needs_migration(home):
        raise StoreFailed(
            f"cannot open the databases in {home.databases}: they are not at this version's schema",
            "`modelyard up` brings them there",
        )
    return SqliteStore(home, events_max)
