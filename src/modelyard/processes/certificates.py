"""`python -m modelyard.processes.certificates --home PATH NAME...`: makes the local certificate, and ends."""

import argparse
import sys
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.settings import Home
from modelyard.store.certificates import local_certificate


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-certificates")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    try:
        local_certificate(Home(given.home).tls, tuple(given.names))
    except ModelyardError as error:
        sys.stderr.write(f"{error.message}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
