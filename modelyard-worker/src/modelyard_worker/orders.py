"""Orders: what a worker process is told to do, as the file `order.json` in its folder. Paths are absolute.

A process is started as `python -m modelyard_worker KIND FOLDER` with KIND one of template, replica, job, or
log-metrics, which reads along with a job. Nothing secret stands on a command line.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from modelyard_worker.records import ORDER, read_json


class TemplateOrder(NamedTuple):
    """A process that imports libraries, and may load a model, and forks replicas when told to."""

    id: str
    socket: str
    """Unix socket where it takes commands; one JSON object a line each way (see `template`)."""
    token: str
    package: Optional[str] = None
    """Package to load before forking (a template below another); None for an environment's template."""


class ReplicaOrder(NamedTuple):
    """A process that answers predictions of one package."""

    id: str
    endpoint: str
    version: int
    package: str
    """Folder of the package: package.json, code/, model/."""
    package_digest: str
    socket: str
    """Unix socket it listens on."""
    token: str
    max_batch_size: int = 32
    threads: int = 1
    """Threads that predict at the same time."""
    numeric_threads: int = 1
    """Threads that numeric libraries may use in one call."""
    max_in_flight: Optional[int] = None
    max_body_bytes: int = 6 * 2**20
    memory_bytes: Optional[int] = None
    """Memory of its own that it may take; None is not bounded."""
    models: Optional[Dict[str, Any]] = None
    """`many_models.ModelsOrder` of an endpoint that serves the models of a folder; None for the package's own."""
    timeout_seconds: float = 60.0
    """How long one call of a function may take; of a predictor, the gateway sees to that."""
    drain_seconds: float = 60.0
    stop_socket_seconds: float = 0.2
    """How long a leaving replica without any connection waits for one before it ends."""


class JobOrder(NamedTuple):
    """A process that runs a training to its end, in SageMaker's container contract without the container."""

    id: str
    base: str
    """Folder in place of /opt/ml, with input/ laid out already."""
    command: List[str]
    """Words to execute; the hyperparameters as `--name value` are among them already."""
    environment: Dict[str, str]
    """Added to the wrapper's own."""
    max_runtime_seconds: float
    stop_grace_seconds: float
    attempt: int = 1
    """Counts the processes that the same job has had in this folder."""
    memory_bytes: Optional[int] = None
    """Private memory of all its processes together beyond which it is killed; None has no limit."""
    metrics: Optional[Dict[str, str]] = None
    """Metrics that are found in what it prints: name -> regular expression (see `log_metrics`)."""


def read_order(folder: str) -> Dict[str, Any]:
    """Raises FileNotFoundError where there is none."""
    found = read_json(os.path.join(folder, ORDER))
    if found is None:
        raise FileNotFoundError(f"cannot read {os.path.join(folder, ORDER)}: not there, or not JSON")
    return found
