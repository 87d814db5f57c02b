"""`python -m modelyard.processes.backup --home PATH [--with-key] FILE`: writes a home into one file, then ends.

A process of its own, because the command line speaks to yards, not to their files. The yard may run meanwhile, or not.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.settings import Home
from modelyard.store.backup import FORMAT, Description, back_up
from modelyard.version import VERSION


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-backup")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--with-key", action="store_true")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    try:
        done = back_up(Home(given.home), given.file, Description(FORMAT, VERSION, time.time(), given.with_key))
    except ModelyardError as error:
        sys.stderr.write(json.dumps({"message": error.message, "hint": error.hint}) + "\n")
        return 1
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
