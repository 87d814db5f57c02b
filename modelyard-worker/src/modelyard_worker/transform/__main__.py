"""`python -m modelyard_worker.transform FOLDER`: runs the plan in FOLDER to its end, or goes on with it."""

import os
import sys

from modelyard_worker.transform.coordinator import run_transform

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m modelyard_worker.transform FOLDER")
    sys.exit(run_transform(os.path.abspath(sys.argv[1])))
