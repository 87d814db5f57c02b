"""The yard's supervisor, as the command line sees it: who it is, whether it lives, how it is started and ended."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelyard_worker.records import Identity, is_alive, read_json

from modelyard.errors import Broken, StartFailed
from modelyard.settings import Home, YardSettings, settings_arguments

MODULE = "modelyard.processes.supervisor"
START_SECONDS = 15.0
END_SECONDS = 60.0
CLEAN_SECONDS = 60.0
LOG_LINES_SHOWN = 15
LOG_BYTES_READ = 64 * 2**10
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Supervisor:
    """What `yard.json` says of the supervisor that wrote it last."""

    identity: Identity
    url: str

    @property
    def alive(self) -> bool:
        return is_alive(self.identity)


def find_supervisor(home: Home) -> Supervisor | None:
    """None where none has run, or where its record cannot be read."""
    found = read_json(str(home.yard)) or {}
    try:
        return Supervisor(Identity(str(found["boot"]), int(found["pid"]), int(found["start"])), str(found["url"]))
    except (KeyError, TypeError, ValueError):
        return None


def become_supervisor(settings: YardSettings) -> None:
    """Turns this process into the supervisor; does not return."""
    os.execv(sys.executable, _command(settings))  # noqa: S606 (a list of arguments; no shell)


def start_supervisor(home: Home, settings: YardSettings, answers: Callable[[str], bool]) -> Supervisor:
    """Starts a supervisor in a session of its own and waits until `answers(url)`. Raises StartFailed."""
    log = home.logs / "supervisor.log"
    began_at = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(settings),
            cwd=home.root,
            env={**os.environ, "MODELYARD_HOME": str(home.root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        found = find_supervisor(home)
        if found is not None and found.identity.pid == process.pid and found.alive and answers(found.url):
            # It outlives this command by design, so nobody here ever waits for it.
            process.returncode = 0
            return found
        if process.poll() is not None:
            raise StartFailed(
                f"cannot start the yard in {home.root}: its supervisor ended with code {process.returncode}"
                + _last_lines(log, began_at),
                "`modelyard doctor` looks for the cause",
            )
        time.sleep(_POLL_SECONDS)
    process.terminate()
    process.wait()
    raise StartFailed(
        f"cannot start the yard in {home.root}: it did not answer within {START_SECONDS:g} s"
        + _last_lines(log, began_at),
        f"its log is {log}",
    )


def end_supervisor(supervisor: Supervisor, waiting: Callable[[str], None]) -> None:
    """Ends that very process, and waits until it has ended everything that is below it. Raises Broken."""
    try:
        handle = os.pidfd_open(supervisor.identity.pid)
    except ProcessLookupError:
        return
    try:
        # Only now, with the process held, can its identity not change any more.
        if not supervisor.alive:
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        limit = time.monotonic() + END_SECONDS
        while not select.select([handle], [], [], 0.5)[0]:
            left = limit - time.monotonic()
            waiting("waiting for requests and runs to end")
            if left <= 0:
                raise Broken(
                    f"cannot end the yard: its supervisor (pid {supervisor.identity.pid}) still runs after"
                    f" {END_SECONDS:g} s",
                    f"end it with `kill -9 {supervisor.identity.pid}`, then run `modelyard down` again",
                )
    finally:
        os.close(handle)


def clean_up(home: Home) -> int:
    """Ends what a dead supervisor left behind; returns how many processes that were. Raises Broken."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", MODULE, "--clean"],
            env={**os.environ, "MODELYARD_HOME": str(home.root)},
            capture_output=True,
            text=True,
            timeout=CLEAN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"cannot clean up {home.root}: it takes longer than {CLEAN_SECONDS:g} s") from error
    if done.returncode != 0:
        raise Broken(f"cannot clean up {home.root}: {done.stderr.strip() or f'code {done.returncode}'}")
    try:
        return int(json.loads(done.stdout)["ended"])
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(f"cannot tell what was cleaned up in {home.root}: {done.stdout[:100]!r}") from error


def _command(settings: YardSettings) -> list[str]:
    return [sys.executable, "-m", MODULE, *settings_arguments(settings)]


def _last_lines(log: Path, began_at: int) -> str:
    """What this start wrote, not an earlier one."""
    try:
        with log.open("rb") as file:
            file.seek(max(began_at, log.stat().st_size - LOG_BYTES_READ))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in lines[-LOG_LINES_SHOWN:])
