"""Every command that a page shows can be typed."""

import re
import shlex
from typing import cast

import click
import pytest
import typer

from modelyard.cli.main import app
from tests.docs.pages import ROOT, commands, pages, where

SHOWN = [(where(page), command) for page in pages() for command in commands(page, "modelyard")]
MADE = [(where(page), command) for page in pages() for command in commands(page, "make")]


@pytest.fixture(scope="module")
def program() -> click.Group:
    return cast("click.Group", typer.main.get_command(app))


def test_the_pages_show_commands_at_all() -> None:
    assert SHOWN
    assert MADE


def test_no_command_hides_another_of_its_name() -> None:
    names = [str(one.name or getattr(one.callback, "__name__", "")) for one in app.registered_commands]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_modelyard_command_on_a_page_exists_with_its_options(page: str, command: str, program: click.Group) -> None:
    _, verb, *words = shlex.split(command)
    assert verb in program.commands, f"{page}: {command}"
    known = {option for one in _meant(program.commands[verb], words) for option in _options(one)} | {"--help"}
    used = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
    assert used <= known, f"{page}: {command}"


def _meant(command: click.Command, words: list[str]) -> list[click.Command]:
    """A command, or of a group's commands the one that is named; all where it is left out."""
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    named = inner.get(words[0]) if words else None
    return [command, named] if named else [command, *inner.values()]


def _options(command: click.Command) -> list[str]:
    return [option for parameter in command.params for option in parameter.opts]


@pytest.mark.parametrize(("page", "command"), MADE)
def test_a_make_target_on_a_page_exists(page: str, command: str) -> None:
    _, target, *_ = command.split()
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert target in phony[1].split(), f"{page}: {command}"
