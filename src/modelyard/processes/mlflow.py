"""`python -m modelyard.processes.mlflow --home PATH`: becomes the MLflow server.

The supervisor starts it when the server is wanted for the first time. Where its environment is not there yet it is
installed first; then this process is replaced by the server, so that the one the supervisor watches is the one that
answers. `state.json` says how far it is, for the door, which makes its clients wait.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from modelyard_worker.records import write_json

from modelyard.domain.job_tokens import tracking_token
from modelyard.errors import ModelyardError
from modelyard.log import start_log
from modelyard.packaging.environments import FOLDER
from modelyard.packaging.tracking import TrackingEnvironment
from modelyard.protocol.routes import MLFLOW
from modelyard.settings import Home, read_key

_WITHHELD = ("MLFLOW_", "_MLFLOW_", "MODELYARD_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Beginnings of variables that the server must not inherit: settings of a client, and those of another Python."""


async def prepare(home: Home) -> Path:
    """The interpreter of the server's environment. Raises StartFailed."""
    log = start_log("mlflow")

    def say(sentence: str) -> None:
        log.info(sentence)
        write_json(str(home.tracking_state), {"state": "installing", "sentence": sentence})

    environment = TrackingEnvironment(home.tracking / "environments", home.root / FOLDER / "cache")
    try:
        return await environment.ensure(home.logs / "mlflow-install.log", say)
    except ModelyardError as error:
        log.error("%s", error.message)
        reason = f"{error.message}\n{error.hint}" if error.hint else error.message
        write_json(str(home.tracking_state), {"state": "failed", "sentence": reason})
        raise


def become_server(home: Home, python: Path) -> None:
    """Does not return."""
    home.tracking_artifacts.mkdir(exist_ok=True, mode=0o700)
    config = home.tracking / "server.json"
    write_json(
        str(config),
        {
            "socket": str(home.tracking_socket),
            "database": str(home.tracking_database),
            "artifacts": str(home.tracking_artifacts),
            "prefix": MLFLOW,
            "control_socket": str(home.control_socket),
            "token": tracking_token(read_key(home)),
        },
    )
    write_json(str(home.tracking_state), {"state": "starting", "sentence": "MLflow is starting"})
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)}
    os.chdir(home.tracking)
    os.execve(python, [str(python), "-m", "modelyard_worker.mlflow_server", str(config)], environment)  # noqa: S606


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-mlflow")
    parser.add_argument("--home", type=Path, required=True)
    home = Home(parser.parse_args().home)
    # A terminal's interrupt is the supervisor's to hear; it ends its children in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    home.tracking.mkdir(exist_ok=True, mode=0o700)
    with contextlib.suppress(ModelyardError):
        become_server(home, asyncio.run(prepare(home)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
