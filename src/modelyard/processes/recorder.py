"""`python -m modelyard.processes.recorder --home PATH [--read ENDPOINT ...]`: makes Parquet of captured requests, or
prints them as JSON lines; then ends.

A process of its own, so that what Parquet takes is in memory only while there is something to do.
"""

import argparse
import json
import sys
from pathlib import Path

from modelyard.settings import Home
from modelyard.store.captures import read, record


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-recorder")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--read", metavar="ENDPOINT")
    parser.add_argument("--since", type=float, default=0.0)
    parser.add_argument("--until", type=float, default=1e12)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--of-version", type=int)
    given = parser.parse_args()
    folder = Home(given.home).captures
    if given.read is None:
        record(folder)
        return 0
    for one in read(folder, given.read, given.since, given.until, given.limit, given.of_version):
        sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
