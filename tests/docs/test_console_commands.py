"""Every command that a page of the console shows is one that the program takes, with its words and options."""

import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer
from jinja2 import Environment, nodes

import modelyard.console
from modelyard.cli.main import app

TEMPLATES = Path(modelyard.console.__file__).parent / "templates"
NAME = "endpoint/price"
"""In place of what only a yard can fill in."""


def shown() -> Iterator[tuple[str, str]]:
    for path in sorted(TEMPLATES.glob("*.html")):
        parsed = Environment(autoescape=True).parse(path.read_text())
        for call in parsed.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "command":
                yield from ((path.name, text) for text in lines(call.args[0]))


def lines(node: nodes.Node) -> list[str]:
    """Of the list that a page hands to `command`, every line that it may hold."""
    if isinstance(node, nodes.List):
        return [text for item in node.items for text in texts(item)]
    if isinstance(node, nodes.Add):
        return lines(node.left) + lines(node.right)
    if isinstance(node, nodes.CondExpr):
        return lines(node.expr1) + (lines(node.expr2) if node.expr2 else [])
    raise AssertionError(f"a list is expected, not {node}")


def texts(node: nodes.Node) -> list[str]:
    """What an expression may come to."""
    if isinstance(node, nodes.Const):
        return [str(node.value)]
    if isinstance(node, nodes.Concat):
        return ["".join(parts) for parts in product(*map(texts, node.nodes))]
    if isinstance(node, nodes.CondExpr):
        return texts(node.expr1) + (texts(node.expr2) if node.expr2 else [""])
    return [NAME]


HOW_TO = Path(__file__).parent.parent.parent / "docs" / "how-to" / "use-the-console.md"


def verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that can be typed, in the words that stand before its arguments."""
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        yield from verbs(one, (*words, name))
    if not inner:
        yield " ".join(words)


def told() -> set[str]:
    """The commands of the first column of the page's table."""
    table = HOW_TO.read_text().partition("## From the shell to the console")[2].partition("\n## ")[0]
    return {verb for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for verb in re.findall(r"`(.+?)`", row)}


COMMANDS = sorted({one for one in shown() if one[1] != NAME})


def test_most_pages_show_a_command() -> None:
    assert len({page for page, _ in COMMANDS}) > 20


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_on_a_page_of_the_console_is_taken_by_the_program(page: str, line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "modelyard"
    # typer keeps the types of its commands to itself.
    command: Any = typer.main.get_command(app)
    name = program
    while inner := getattr(command, "commands", {}):
        # What stands without a verb means the one that shows.
        name = words.pop(0) if words and words[0] in inner else "show"
        assert name in inner, line
        command = inner[name]
    # Raises what a person would read who typed it.
    command.make_context(name, words)


def test_of_every_command_it_is_told_where_it_is_in_the_console() -> None:
    assert set(verbs(typer.main.get_command(app))) == told()
