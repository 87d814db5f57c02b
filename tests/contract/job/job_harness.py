"""Real jobs: each is `python -m modelyard_worker job FOLDER`, started as an engine starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.job_environment import JobPlan, lay_out_job
from modelyard_worker.records import ORDER, OUTPUT, read_json, write_json

LIMIT_SECONDS = 20.0


def wait_until(condition: Callable[[], Any], what: str, limit_seconds: float = LIMIT_SECONDS) -> Any:
    """Polls until `condition` is true, and returns its value."""
    ends_at = time.monotonic() + limit_seconds
    while time.monotonic() < ends_at:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"after {limit_seconds:g} s: {what}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Job:
    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def output(self) -> str:
        return (self.folder / OUTPUT).read_text()

    def end(self) -> dict[str, Any]:
        """Waits for the wrapper and returns its record."""
        self.process.wait(LIMIT_SECONDS)
        record = self.record
        assert record is not None, self.output
        return record

    @property
    def record(self) -> dict[str, Any] | None:
        return read_json(str(self.folder / "exit.json"))

    def wait_output(self, text: str) -> None:
        wait_until(lambda: text in self.output, f"{text!r} was not printed, but {self.output!r}")


class Jobs:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[Job] = []

    def start(
        self,
        script: str,
        name: str = "train.py",
        hyperparameters: dict[str, str] | None = None,
        channels: dict[str, dict[str, str]] | None = None,
        max_runtime_seconds: float = 60.0,
        stop_grace_seconds: float = 10.0,
        command: list[str] | None = None,
        environment: dict[str, str] | None = None,
        python_path: str | None = None,
        algorithm: str | None = None,
        content_types: dict[str, str] | None = None,
        metrics: dict[str, str] | None = None,
    ) -> Job:
        folder = self.root / f"job-{len(self.started) + 1}"
        base = folder / "base"
        target = base / "code" / name
        target.parent.mkdir(parents=True)
        target.write_text(script)
        for channel, files in (channels or {}).items():
            for file, text in files.items():
                (base / "input" / "data" / channel).mkdir(parents=True, exist_ok=True)
                (base / "input" / "data" / channel / file).write_text(text)
        plan = JobPlan(
            name="fit-1",
            base=str(base),
            entry=None if algorithm else name,
            algorithm=algorithm,
            channels=list(channels or {}),
            content_types=content_types or {"train": "text/csv"},
            hyperparameters=hyperparameters or {},
            environment=environment or {},
            python_path=python_path,
        )
        laid_out = lay_out_job(plan)
        write_json(
            str(folder / ORDER),
            {
                "id": "fit-1",
                "base": str(base),
                "command": command or laid_out.command,
                "environment": laid_out.environment,
                "max_runtime_seconds": max_runtime_seconds,
                "stop_grace_seconds": stop_grace_seconds,
                "metrics": metrics,
            },
        )
        output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "modelyard_worker", "job", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        os.close(output)
        job = Job(folder, process)
        self.started.append(job)
        return job


def read(path: Path) -> Any:
    return json.loads(path.read_text())
