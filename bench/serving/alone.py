"""The work called in a loop with nothing around it: what no server can exceed on this machine, as it is just then.

What a case says of itself (20 ms for 32 rows) is more than any machine gives: a sleep ends late, and what runs after it
finds cold caches. How much more depends on what else the machine does, so it is measured in turns with the servers.
"""

import statistics
import time
from pathlib import Path

import numpy as np

from bench.serving.cases import Case, asked
from bench.serving.load import GENERATOR, Load
from bench.serving.work import BATCH_ROWS_MAX, load_work

ALONE = "alone"
WHAT = "the work called in a loop, no server around it"

_WORK = "work"
_PERCENTILES = 100


def call_alone(case: Case, models: Path, connections: int, seconds: float) -> Load:
    """Calls that hold as many rows as so many connections can have under way, for so long."""
    work = load_work(case.name, models)
    payloads = [np.array(asked(case))] * min(connections, BATCH_ROWS_MAX)
    took: list[float] = []
    cpu_began, began = time.process_time(), time.perf_counter()
    ended = began
    while not took or ended < began + seconds:
        begins = ended
        work(np.concatenate(payloads)).tolist()
        ended = time.perf_counter()
        took.append(ended - begins)
    requests = len(took) * len(payloads)
    cuts = statistics.quantiles(took, n=_PERCENTILES, method="inclusive") if len(took) > 1 else took * _PERCENTILES
    return Load(
        case=case.name,
        server=ALONE,
        connections=connections,
        requests=requests,
        requests_per_second=requests / (ended - began),
        p50_seconds=statistics.median(took),
        p99_seconds=cuts[-1],
        errors=0,
        cpu_us_per_request={_WORK: (time.process_time() - cpu_began) / requests * 1e6, GENERATOR: 0.0},
    )
