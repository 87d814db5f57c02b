"""Equal answers first: a server that is fast because it answers something else is not compared."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from bench.serving.cases import Case, Rows, questions
from bench.serving.servers import Server
from bench.serving.work import load_work

AT_ONCE = 32
RELATIVE_DIFFERENCE_MAX = 1e-6
"""One server writes a 32-bit float in full, another as the shortest text that means it."""

_HEADERS = {"content-type": "application/json"}
_TIMEOUT_SECONDS = 30.0


class DifferentAnswer(Exception):  # noqa: N818 (it is a fact about a server)
    """What a server answers, and what the work itself gives."""


def check_agreement(server: Server, case: Case, models: Path) -> int:
    """Asks for every question, one by one and many at once, so that batches are compared too.

    The work itself, called here, says what is right. A server that answers a constant is asked for the load's own rows
    alone. Returns how many questions were compared; raises DifferentAnswer at the first difference.
    """
    work = load_work(case.name, models)
    rows = questions(case)[:1] if server.name == "constant" else questions(case)
    expected = [np.asarray(work(np.asarray(one))).tolist() for one in rows]
    with httpx.Client(headers=_HEADERS, timeout=_TIMEOUT_SECONDS) as http, ThreadPoolExecutor(AT_ONCE) as pool:
        for one, values in zip(rows, expected, strict=True):
            _expect(http, server, one, values)
        count = len(rows)
        list(pool.map(_expect, [http] * count, [server] * count, rows, expected))
    return count


def _expect(http: httpx.Client, server: Server, rows: Rows, values: list[float]) -> None:
    answer = http.post(server.url, content=server.shape.body(rows))
    if not answer.is_success:
        raise DifferentAnswer(f"{server.name} answers {answer.status_code} {answer.text[:200]}")
    try:
        found = server.shape.values(answer.content)
    except ValueError as error:
        raise DifferentAnswer(f"{server.name}: {error}") from error
    same = len(found) == len(values) and all(
        math.isclose(one, other, rel_tol=RELATIVE_DIFFERENCE_MAX) for one, other in zip(found, values, strict=True)
    )
    if not same:
        raise DifferentAnswer(f"{server.name} answers {found[:3]} where {values[:3]} is right")
