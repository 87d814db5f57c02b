"""How many threads numeric libraries use.

A library reads its limit from the environment when it is first imported. A template sets it to one before that:
OpenMP's threads do not survive a fork, and XGBoost and HistGradientBoosting then wait for them for ever. After the
fork, where no thread was ever made, the limit is raised.
"""

import os
import sys
from typing import Any, cast

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def allow_threads(count: int) -> None:
    """Sets the limit for libraries that are not imported yet. What the user's environment says stays."""
    for name in VARIABLES:
        os.environ.setdefault(name, str(count))


def forbid_threads() -> None:
    """Sets the limit to one for everything that is imported from here on."""
    for name in VARIABLES:
        os.environ[name] = "1"


def raise_threads(count: int) -> None:
    """In a forked process: raises the limit for what is imported already and for what will be."""
    for name in VARIABLES:
        os.environ[name] = str(count)
    if count == 1:
        return
    try:
        import threadpoolctl
    except ImportError:
        return  # each loader raises its own library's limit; only plain BLAS calls stay at one thread
    cast("Any", threadpoolctl).threadpool_limits(count)


def reseed() -> None:
    """In a forked process: random numbers of its own, where siblings would all draw the same."""
    import random

    random.seed()
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
