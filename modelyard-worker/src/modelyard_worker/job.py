"""The wrapper around a training: starts the command, waits for its end, and records how it ended.

It needs nobody: the maximum run time and the grace after a stop hold even when every other process of the yard is gone.
What the command prints goes where the wrapper's own output goes, a file, so that no reader can block it.

    SIGTERM to the wrapper    stop: SIGTERM to the command's group, SIGKILL after `stop_grace_seconds`
    `max_runtime_seconds`     the same, recorded as `max_runtime`
    `memory_bytes`            SIGKILL at once, recorded as `memory`
    the command ends          what is left of its processes is killed, then exit.json is written
    the wrapper is killed     everything it started dies with it and there is no record: the job is lost
"""

import errno
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional

from modelyard_worker.job_environment import failure_file, metrics_file
from modelyard_worker.metrics import last_values
from modelyard_worker.orders import JobOrder, read_order
from modelyard_worker.process_tree import (
    Guard,
    become_subreaper,
    die_with_parent,
    end_leftovers,
    kill_group,
    private_bytes,
)
from modelyard_worker.records import OUTPUT, write_exit, write_identity

FAILURE_LENGTH_MAX = 1024
"""SageMaker's limit for FailureReason, characters."""

OUTPUT_TAIL_BYTES = 64 * 1024
"""How far from its end the output is searched for a reason."""

MEMORY_LOOK_SECONDS = 0.5
"""How often the memory of a job with a limit is looked at."""

RECORD_SECONDS_MAX = 3600.0
"""How long there may be no room to write down how a job ended."""
RECORD_PAUSE_SECONDS = 0.5

LOG_READ_SECONDS_MAX = 60.0
"""How long after the command's end its output is read for metrics."""

MARK = "MODELYARD_JOB"
"""The variable by which every process of a job is known, whatever it calls its own; its value is the job's folder."""

WAIT_SECONDS_MAX = 3600.0
"""Longest single wait; a limit beyond it is waited for in several."""

_TRACEBACK = "Traceback (most recent call last):"
_EXIT_NOT_EXECUTABLE = 126
_EXIT_NOT_FOUND = 127


def run_job(folder: str) -> int:
    """Runs the order in `folder` to its end: 0 where that end is on record, whatever it was."""
    signals = Signals()
    write_identity(folder)
    order = JobOrder(**read_order(folder))
    become_subreaper()
    guard = Guard(f"{MARK}={folder}")
    try:
        child = start(order, folder)
    except OSError as error:
        guard.dismiss()
        code = _EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else _EXIT_NOT_EXECUTABLE
        write_exit(folder, code, "exit", failure=f"cannot run {order.command[0]}: {error.strerror}", metrics={})
        return 0
    guard.watch(child.pid)
    readers = [LogReader(folder)] if order.metrics else []
    by = wait(child, order, signals)
    end_leftovers(child.pid, spared={guard.pid, *(one.pid for one in readers)})
    for reader in readers:
        reader.finish()
    record(folder, order, child.returncode, by)
    guard.dismiss()
    return 0


def start(order: JobOrder, folder: str) -> "subprocess.Popen[bytes]":
    """The command, leading a session of its own, in code/. Raises OSError where it cannot be executed."""
    code = os.path.join(order.base, "code")
    wrapper = os.getpid()

    def before_exec() -> None:
        die_with_parent(wrapper)

    return subprocess.Popen(
        order.command,
        cwd=code if os.path.isdir(code) else order.base,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **order.environment, MARK: folder},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=before_exec,  # noqa: PLW1509 (this process has one thread)
    )


class LogReader:
    """The process that finds metrics in what the command prints (see `log_metrics`). It is none of the command's: its
    end closes nothing, and it has no mark."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._process = self._start(subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def finish(self) -> None:
        """Returns when all that was printed has been read, or what is left of it is given up."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._end_of(self._process) not in (0, -signal.SIGVTALRM):
            # Somebody killed it, or the disk was full: another one goes on where it stopped.
            self._process = self._start(subprocess.DEVNULL)
            self._end_of(self._process)

    def _start(self, stdin: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "modelyard_worker", "log-metrics", self._folder]
        return subprocess.Popen(command, stdin=stdin, start_new_session=True)

    def _end_of(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            code = process.wait(LOG_READ_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code == -signal.SIGVTALRM:
            _say("metrics: an expression takes too long to search for in what was printed; its rest was not read")
        elif code != 0:
            _say(f"metrics: what was printed was not read to its end (exit code {code})")
        return code


class Signals:
    """SIGTERM and the end of a child, as something that can be waited for with a limit."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._read_end, write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        # A handler that does nothing, not SIG_IGN, which the command would inherit; SIGCHLD must wake `wait`.
        signal.signal(signal.SIGHUP, self._on_anything)
        signal.signal(signal.SIGCHLD, self._on_anything)

    def wait(self, seconds: float) -> None:
        """Returns at the next signal, or after `seconds`."""
        if select.select([self._read_end], [], [], max(0.0, min(seconds, WAIT_SECONDS_MAX)))[0]:
            os.read(self._read_end, 4096)

    def _on_stop(self, number: int, frame: Any) -> None:  # noqa: ARG002 (a handler's signature)
        self.stop_asked = True

    def _on_anything(self, number: int, frame: Any) -> None:
        pass


def wait(child: "subprocess.Popen[bytes]", order: JobOrder, signals: Signals) -> str:
    """Waits for the command's end and brings it about where it must: what did, `exit`, `stop`, `max_runtime` or
    `memory`."""
    by = "exit"
    deadline = time.monotonic() + order.max_runtime_seconds
    while child.poll() is None:
        if by == "exit":
            by = _why_stop(signals, deadline)
            if by == "exit" and _takes_too_much(order):
                kill_group(child.pid, signal.SIGKILL)
                child.wait()
                return "memory"
            if by != "exit":
                _say(f"{by}: SIGTERM sent, SIGKILL follows after {order.stop_grace_seconds:g} s")
                kill_group(child.pid, signal.SIGTERM)
                deadline = time.monotonic() + order.stop_grace_seconds
        elif time.monotonic() >= deadline:
            _say(f"{by}: still there after {order.stop_grace_seconds:g} s, SIGKILL sent")
            kill_group(child.pid, signal.SIGKILL)
            child.wait()
            break
        signals.wait(min(deadline - time.monotonic(), _look_seconds(order)))
    return by


def _look_seconds(order: JobOrder) -> float:
    return WAIT_SECONDS_MAX if order.memory_bytes is None else MEMORY_LOOK_SECONDS


def _takes_too_much(order: JobOrder) -> bool:
    if order.memory_bytes is None:
        return False
    taken = private_bytes(os.getpid())
    if taken > order.memory_bytes:
        _say(f"memory: {taken} bytes taken, {order.memory_bytes} allowed, SIGKILL sent")
    return taken > order.memory_bytes


def _why_stop(signals: Signals, deadline: float) -> str:
    if signals.stop_asked:
        return "stop"
    return "max_runtime" if time.monotonic() >= deadline else "exit"


def _say(sentence: str) -> None:
    print(f"[job] {sentence}", file=sys.stderr, flush=True)


def record(folder: str, order: JobOrder, code: int, by: str) -> None:
    """Writes down how it ended. On a disk that is full it waits until there is room: what ended is not lost."""
    facts: Dict[str, Any] = {"metrics": last_values(metrics_file(order.base))}
    failure = failure_reason(folder, order.base, code) if by != "memory" else over_limit(order)
    if failure is not None:
        facts["failure"] = failure
    limit = time.monotonic() + RECORD_SECONDS_MAX
    while True:
        try:
            return write_exit(folder, code, by, **facts)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or time.monotonic() > limit:
                raise
            time.sleep(RECORD_PAUSE_SECONDS)


def over_limit(order: JobOrder) -> str:
    return f"it took more memory than the {(order.memory_bytes or 0) / 2**20:.0f} MiB of its limit, compute.mem"


def failure_reason(folder: str, base: str, code: int) -> Optional[str]:
    """Why it failed: the failure file, else the signal, else the exception or the last line in the output, with the
    exit code beside it; None for exit 0 without a failure file."""
    stated = _head(failure_file(base))
    if stated:
        return stated
    if code == 0:
        return None
    if code < 0:
        return f"killed by {_signal_name(-code)}"
    last = last_words(os.path.join(folder, OUTPUT))
    if last is None:
        return f"exit code {code}, and nothing was printed"
    ending = f" (exit code {code})"
    return last[: FAILURE_LENGTH_MAX - len(ending)] + ending


def _head(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(FAILURE_LENGTH_MAX).strip()
    except OSError:
        return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(path: str) -> Optional[str]:
    """The exception at the end of the last traceback in an output file, or its last line; None where it is empty."""
    lines = _tail_lines(path)
    for position in range(len(lines) - 1, -1, -1):
        if lines[position].startswith(_TRACEBACK):
            raised = [line for line in lines[position + 1 :] if not line.startswith(" ")]
            return raised[0] if raised else lines[-1]
    return lines[-1] if lines else None


def _tail_lines(path: str) -> List[str]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - OUTPUT_TAIL_BYTES))
            text = file.read(OUTPUT_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("[job] ")]
