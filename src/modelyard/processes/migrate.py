"""`python -m modelyard.processes.migrate --home PATH`: brings the databases to this version's form, then ends.

A process of its own, because what it imports is large and needed once.
"""

import argparse
import sys
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.log import start_log
from modelyard.settings import Home
from modelyard.store.migrate import migrate


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-migrate")
    parser.add_argument("--home", type=Path, required=True)
    start_log("migrate")
    try:
        migrate(Home(parser.parse_args().home))
    except ModelyardError as error:
        print(error.message, error.hint or "", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
