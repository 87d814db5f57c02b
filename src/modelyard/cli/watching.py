"""`-w`: the same view again every two seconds, until Ctrl-C."""

import sys
import time
from collections.abc import Callable

from modelyard.cli.output import say

WATCH_SECONDS = 2.0
"""As often as Cortex's `get -w`."""


CLEAR = "\x1b[H\x1b[2J"
"""To the upper left corner, and everything away (ECMA-48 CUP, ED)."""


def watch(show: Callable[[], list[str]]) -> None:
    while True:
        lines = show()
        if sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        for line in lines:
            say(line)
        time.sleep(WATCH_SECONDS)
