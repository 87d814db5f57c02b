"""One process of ours: started in a session of its own, known by its identity, signalled through a pidfd."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from modelyard_worker.records import OUTPUT, Identity, boot_id, is_alive, start_ticks

from modelyard.errors import StartFailed

_OURS = "MODELYARD_"
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "_URL", "DSN")
"""What makes a variable of ours one that user code must not see. An address may carry a password."""

NUMERIC_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_OF_ONE_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""What holds for the yard's interpreter alone: another environment would import through it what is not its own."""


def worker_environment(numeric_threads: int, added: Mapping[str, str], python: str | None = None) -> dict[str, str]:
    """The environment of a worker: the yard's own without its secrets, numeric libraries held to so many threads.

    `python` is the interpreter of an environment of its own, None for the yard's."""
    environment = {key: value for key, value in os.environ.items() if not is_secret_of_the_yard(key)}
    if python is not None:
        environment = {key: value for key, value in environment.items() if key not in _OF_ONE_PYTHON}
    environment.update({name: str(numeric_threads) for name in NUMERIC_THREADS})
    environment["PYTHONUNBUFFERED"] = "1"
    environment.update(added)
    return environment


def is_secret_of_the_yard(variable: str) -> bool:
    """Whether the name of an environment variable says that it holds a secret of the yard's own. Those of other systems
    are the user's to hand to their code."""
    name = variable.upper()
    return name.startswith(_OURS) and any(word in name for word in _SECRET_WORDS)


def start_worker(
    kind: str, folder: Path, environment: Mapping[str, str], python: str | None = None
) -> subprocess.Popen[bytes]:
    """Starts `python -m modelyard_worker KIND FOLDER`; its output goes to a file, not a pipe. Raises StartFailed."""
    output = -1
    try:
        output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return subprocess.Popen(
            [python or sys.executable, "-m", "modelyard_worker", kind, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise StartFailed(f"cannot start a {kind} process: {error}", "`modelyard doctor` checks the machine") from error
    finally:
        if output >= 0:
            os.close(output)


def identity_of(pid: int) -> Identity | None:
    """Who runs under `pid` now, or None."""
    start = start_ticks(pid)
    return None if start is None else Identity(boot_id(), pid, start)


def identity_of_child(child: subprocess.Popen[bytes]) -> Identity:
    """Who our child is. Until it is waited for its pid is nobody else's, so one that has ended already is known too."""
    return Identity(boot_id(), child.pid, start_ticks(child.pid) or 0)


def kill(identity: Identity) -> None:
    """Ends that very process at once; harmless where it is gone."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(identity):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


class Watched:
    """A process under watch: `ended` is called once, on the loop, when it is gone. Ours to reap or not."""

    def __init__(self, identity: Identity, ended: Callable[[], None], child: subprocess.Popen[bytes] | None) -> None:
        self.identity = identity
        self._child = child
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = None
        try:
            pidfd = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            self._loop.call_soon(self._end)
            return
        if not is_alive(identity):
            # The pid is somebody else's by now, or a zombie's: gone is gone.
            os.close(pidfd)
            self._loop.call_soon(self._end)
            return
        self._pidfd = pidfd
        self._loop.add_reader(pidfd, self._end)

    @property
    def exit_code(self) -> int | None:
        """How it ended, as the shell has it; None while it lives, and where it was not ours to wait for."""
        return self._child.returncode if self._child is not None else None

    def send(self, number: signal.Signals) -> None:
        """Harmless where it is gone."""
        if self._pidfd is not None:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """Stops watching; one of ours that has ended is waited for."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._child is not None:
            self._child.poll()

    def _end(self) -> None:
        self.close()
        self._ended()
