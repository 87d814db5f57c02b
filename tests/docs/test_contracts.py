"""The contract of third parties refuses what no line permits."""

import pytest
from grimp import ImportGraph

from contributing.contracts import PermittedContract


def house() -> ImportGraph:
    graph = ImportGraph()
    for module in ("house", "house.store", "house.store.tables", "house.cli"):
        graph.add_module(module)
    for foreign in ("sqlalchemy", "json", "rich"):
        graph.add_module(foreign, is_squashed=True)
    graph.add_import(importer="house.store.tables", imported="sqlalchemy")
    graph.add_import(importer="house.cli", imported="house.store")
    graph.add_import(importer="house.cli", imported="json")
    return graph


def refused(graph: ImportGraph, *permitted: str) -> tuple[bool, object, object]:
    contract = PermittedContract("third parties", {}, {"permitted": list(permitted)})
    check = contract.check(graph, verbose=False)
    return check.kept, check.metadata["refused"], check.metadata["unknown"]


def test_a_line_permits_its_module_and_everything_inside_it() -> None:
    assert refused(house(), "house.store: sqlalchemy") == (True, [], [])


def test_what_no_line_permits_is_refused_by_importer_and_imported() -> None:
    assert refused(house(), "house.cli: rich") == (False, [("house.store.tables", "sqlalchemy")], [])


def test_a_line_of_one_floor_permits_nothing_on_another() -> None:
    graph = house()
    graph.add_import(importer="house.cli", imported="sqlalchemy")
    assert refused(graph, "house.store: sqlalchemy")[1] == [("house.cli", "sqlalchemy")]


def test_a_line_for_a_module_that_is_gone_is_refused() -> None:
    assert refused(house(), "house.store: sqlalchemy", "house.attic: rich") == (False, [], ["house.attic"])


def test_a_line_without_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read the line 'house sqlalchemy'"):
        refused(house(), "house sqlalchemy")
