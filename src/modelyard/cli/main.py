"""`modelyard`: the program. Exit codes are 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from modelyard.cli import (
    access,
    alarms,
    backup,
    captures,
    care,
    comparisons,
    console,
    development,
    endpoints,
    environment,
    gateways,
    invocations,
    metrics,
    models,
    packages,
    providers,
    replays,
    rollouts,
    runs,
    scaling,
    schedules,
    secrets,
    transforms,
    tunings,
    yard,
)
from modelyard.cli.output import say, say_error
from modelyard.errors import ModelyardError
from modelyard.version import VERSION

FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    name="modelyard",
    help="Train, register, deploy and watch machine-learning models: one install, one file, one port.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for noun in (
    yard,
    endpoints,
    development,
    rollouts,
    scaling,
    metrics,
    captures,
    replays,
    alarms,
    invocations,
    gateways,
    runs,
    tunings,
    transforms,
    schedules,
    models,
    comparisons,
    packages,
    environment,
    console,
    secrets,
    access,
    providers,
    backup,
    care,
):
    noun.add_to(app)


def _print_version(asked: bool) -> None:
    if asked:
        say(VERSION)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Train, register, deploy and watch machine-learning models: one install, one file, one port."""
    # The first is read in `main`, where it is needed even when parsing failed; the second ends before it comes here.
    del debug, version


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words, prog_name="modelyard")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except ModelyardError as error:
        if "--debug" in words:
            raise
        say_error(error.message, error.hint)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as in `modelyard logs x | head`; nothing is left to tell them.
        sys.stderr.close()
        return FAILED
    except Exception as error:
        if "--debug" in words:
            raise
        say_error(
            f"cannot go on: {type(error).__name__}: {error}", "`modelyard --debug ...` shows where; please report it"
        )
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
