"""Built-in algorithms: each a module that is run as a job's command, in the world that `job_environment` lays out.

A module has `main() -> int`: reads its hyperparameters from input/config/hyperparameters.json and its channels from
SM_CHANNEL_*, prints its progress, logs metrics, leaves its model in SM_MODEL_DIR. What the user got wrong ends as one
sentence in the failure file and exit 1. Names stand in `job_environment.ALGORITHMS`. Libraries are imported inside.

A new one is a file with an `Algorithm` and, where it does not write a file of some framework, a `Model` (see `port`), a
line in ALGORITHMS, in the contracts of pyproject.toml, and in `packaging.frameworks.ALGORITHM_REQUIREMENTS` where it
needs what the yard's own environment lacks.
"""

from typing import Tuple

from modelyard_worker.job_environment import ALGORITHMS


def known() -> Tuple[str, ...]:
    """Names of the algorithms that are built in."""
    return tuple(ALGORITHMS)
