from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job.job_harness import Jobs


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path)
    yield made
    for job in made.started:
        if job.process.poll() is None:
            job.process.kill()
            job.process.wait()
