"""A contract for import-linter: which foreign packages each module may import.

Its built-in contracts forbid what is named; this one permits what is named, so that a new dependency is refused until
its line is written. Third parties are known by their top-level name, as import-linter's graph has them; modules of the
project's other distribution by their full name.
"""

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PermittedContract(Contract):
    """Option `permitted`: lines `MODULE: NAME, NAME`. A line holds for the module and everything inside it."""

    type_name = "permitted"
    permitted = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 (its base's)
        permitted = _read_lines(cast("list[str]", self.permitted))
        unknown = sorted(module for module in permitted if module not in graph.modules)
        refused = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if _is_foreign(importer, imported) and imported not in _permitted_in(importer, permitted)
        ]
        return ContractCheck(kept=not refused and not unknown, metadata={"refused": refused, "unknown": unknown})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module in cast("list[str]", check.metadata["unknown"]):
            output.print_error(f"- {module} has a line but does not exist")
        for importer, imported in cast("list[tuple[str, str]]", check.metadata["refused"]):
            output.print_error(f"- {importer} imports {imported}, which its lines do not permit")


def _read_lines(lines: list[str]) -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for line in lines:
        module, colon, names = line.partition(":")
        if not colon:
            raise ValueError(f"cannot read the line {line!r} of the permitted contract: write MODULE: NAME, NAME")
        table[module.strip()] = {name.strip() for name in names.split(",")}
    return table


def _is_foreign(importer: str, imported: str) -> bool:
    root = imported.partition(".")[0]
    return root not in sys.stdlib_module_names and root != importer.partition(".")[0]


def _permitted_in(importer: str, permitted: dict[str, set[str]]) -> set[str]:
    parts = importer.split(".")
    lines = (permitted.get(".".join(parts[:length]), set[str]()) for length in range(1, len(parts) + 1))
    return set[str]().union(*lines)
