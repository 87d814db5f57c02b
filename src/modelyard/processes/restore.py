"""`python -m modelyard.processes.restore --home PATH FILE`: makes a home from a backup, then ends."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.settings import Home
from modelyard.store.restore import restore


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-restore")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    try:
        done = restore(given.file, Home(given.home))
    except ModelyardError as error:
        sys.stderr.write(json.dumps({"message": error.message, "hint": error.hint}) + "\n")
        return 1
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
