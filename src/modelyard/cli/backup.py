"""Backups of a home: backup, restore. Both are done by a process of their own, with or without a yard that runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json
from modelyard.cli.progress import waiting
from modelyard.cli.times import size
from modelyard.errors import Broken
from modelyard.settings import home_from

_POLL_SECONDS = 0.5


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; must not be there yet.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="With the access key, and the key that secrets are encrypted with.")
    ] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Write everything that a yard remembers into one file, while it runs or not."""
    home = home_from(os.environ)
    options = ["--with-key"] if with_key else []
    done = _run("backup", f"backing up {home.root}", ["--home", str(home.root), *options, "--", str(file)])
    if output is Format.JSON:
        say_json({"file": str(file.absolute()), **done})
        return
    say(f"backed up {home.root} to {file}: {done['files']} files, {size(done['size_bytes'])}")
    if not with_key:
        say("without keys: secrets must be set again after a restore; --with-key includes them")


def restore(
    file: Annotated[Path, typer.Argument(help="What `modelyard backup` wrote.")], output: Output = Format.PRETTY
) -> None:
    """Make the home, which must be empty, from a backup; `modelyard up` then starts the yard as it was."""
    home = home_from(os.environ)
    done = _run("restore", f"restoring {home.root}", ["--home", str(home.root), "--", str(file)])
    if output is Format.JSON:
        say_json({"home": str(home.root), **done})
        return
    say(f"restored {home.root} from {file}: {done['files']} files, {size(done['size_bytes'])}")
    if not done["with_keys"]:
        say("without keys: `modelyard up` makes a new access key; set secrets again with `modelyard secret set`")
    say("next: `modelyard up`")


def _run(process: str, sentence: str, arguments: list[str]) -> dict[str, Any]:
    """What the process says it did. Raises Broken with what it refused with."""
    command = [sys.executable, "-m", f"modelyard.processes.{process}", *arguments]
    with (
        waiting() as shown,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one,
    ):
        while True:
            try:
                told, refused = one.communicate(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                shown.show(sentence)
    if one.returncode:
        raise _refusal(refused)
    return json.loads(told)


def _refusal(written: str) -> Broken:
    try:
        found = json.loads(written)
        return Broken(found["message"], found["hint"])
    except (ValueError, KeyError, TypeError):
        return Broken(f"cannot go on: {written.strip() or 'the process said nothing'}")


def add_to(app: typer.Typer) -> None:
    for command in (backup, restore):
        app.command()(command)
