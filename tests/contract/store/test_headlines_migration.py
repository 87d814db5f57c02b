"""Endpoints that were deployed before their headlines stood in columns."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from modelyard.domain.endpoints import EndpointSpec, EndpointState, EndpointStatus
from modelyard.domain.functions import Function
from modelyard.domain.headlines import headline
from modelyard.domain.idleness import Requests
from modelyard.domain.names import name_key
from modelyard.settings import Home
from modelyard.store.migrate import database_path, migrate
from modelyard.store.sqlite import open_store
from tests.contract.store.test_registry_migration import upgrade_to

BEFORE = "r0012"


def test_endpoints_of_an_older_yard_have_the_headlines_that_their_documents_say(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    upgrade_to(database_path(home, "yard"), BEFORE)
    first, second = EndpointSpec("a", model="price:1"), EndpointSpec("b", model="price:2")
    versions = [
        ("price", 1, first, 5.0, "ready"),
        ("price", 2, second, 6.0, "new"),
        ("greet", 1, EndpointSpec("c", function=Function()), 7.0, "failed"),
    ]
    error = EndpointStatus(EndpointState.ERROR, "cannot start: " + "é" * 500, None, 0, 1, 0, 8.0)
    with closing(sqlite3.connect(database_path(home, "yard"))) as connection, connection:
        connection.executemany(
            "INSERT INTO endpoints (key, name, project) VALUES (?, ?, 'shop')", [("price", "Price"), ("greet", "greet")]
        )
        connection.executemany(
            "INSERT INTO endpoint_versions (endpoint_key, number, spec, created_at, state) VALUES (?, ?, ?, ?, ?)",
            [(key, number, json.dumps(asdict(spec)), at, state) for key, number, spec, at, state in versions],
        )
        connection.execute("INSERT INTO endpoint_statuses VALUES ('greet', ?)", [json.dumps(asdict(error))])
    migrate(home)
    store = open_store(home)
    statuses = store.endpoints.statuses()
    found = list(store.endpoints.headlines())
    assert found == [headline(one, statuses.get(name_key(one.name)), Requests()) for one in store.endpoints.select()]
    assert [(one.name, one.kind, one.state, one.model) for one in found] == [
        ("greet", "function", "error", None),
        ("Price", "endpoint", "updating", "price:2"),
    ]
    store.close()
