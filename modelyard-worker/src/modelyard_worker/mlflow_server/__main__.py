# pyright: basic, reportMissingImports=false
# MLflow is not installed where types are checked.
"""Starts the server. The settings of MLflow are environment variables that are read when it is imported."""

import json
import os
import socket
import sys
from typing import Any, Dict

LISTEN_BACKLOG = 256
KEEP_ALIVE_SECONDS = 75
"""Longer than the door keeps a connection that nobody uses, so that the server is never the one that hangs up."""

SHUTDOWN_SECONDS = 5
"""How long answers under way may take when it is told to go."""


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        config: Dict[str, Any] = json.load(file)
    os.environ.update(server_environment(config))
    serve(config)
    return 0


def server_environment(config: Dict[str, Any]) -> Dict[str, str]:
    """What MLflow's command line would hand to its server (mlflow.server.constants), and no word to anybody else."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{config['database']}",
        "_MLFLOW_SERVER_REGISTRY_STORE": "modelyard://registry",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": config["artifacts"],
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_STATIC_PREFIX": config["prefix"],
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


def serve(config: Dict[str, Any]) -> None:
    """Until it is told to stop."""
    import uvicorn
    from mlflow.server import handlers

    from modelyard_worker.mlflow_server.registry import registry_builder
    from modelyard_worker.mlflow_server.runs import YardRuns

    handlers._tracking_store_registry.register("sqlite", YardRuns)  # noqa: SLF001 (the door for stores of one's own)
    handlers._model_registry_store_registry.register("modelyard", registry_builder(config))  # noqa: SLF001
    from mlflow.server.fastapi_app import app

    handlers.initialize_backend_stores(
        os.environ["_MLFLOW_SERVER_FILE_STORE"], "modelyard://registry", os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"]
    )
    settings = uvicorn.Config(
        app,
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(settings).run([listen(config["socket"])])


def listen(path: str) -> socket.socket:
    """Binds the socket, for its owner alone; what a dead process left there goes."""
    if os.path.exists(path):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    earlier = os.umask(0o177)
    try:
        listening.bind(path)
    finally:
        os.umask(earlier)
    listening.listen(LISTEN_BACKLOG)
    return listening


if __name__ == "__main__":
    sys.exit(main())
