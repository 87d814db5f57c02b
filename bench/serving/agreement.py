"""Equal answers first: a server that is fast because it answers something else is not compared."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from bench.serving.servers import Server
from bench.serving.subject import ANSWER, BODY, flowers

AT_ONCE = 32

_HEADERS = {"content-type": "application/json"}


def check_agreement(servers: list[Server], constant: Server) -> int:
    """Asks every server for every flower, one by one and many at once, so that batches are compared too.

    The constant one is asked for the benchmark's flower alone. Returns how many flowers were compared; raises
    RuntimeError at the first difference.
    """
    rows = [json.dumps([row]).encode() for row in flowers()[0].tolist()]
    with httpx.Client(headers=_HEADERS) as http, ThreadPoolExecutor(AT_ONCE) as pool:
        _expect(http, constant, BODY, json.loads(ANSWER))
        expected = [http.post(servers[0].url, content=row).raise_for_status().json() for row in rows]
        for server in servers:
            _expect(http, server, BODY, json.loads(ANSWER))
            for row, answer in zip(rows, expected, strict=True):
                _expect(http, server, row, answer)
            count = len(rows)
            list(pool.map(_expect, [http] * count, [server] * count, rows, expected))
    return len(rows)


def _expect(http: httpx.Client, server: Server, body: bytes, expected: object) -> None:
    answer = http.post(server.url, content=body)
    if not answer.is_success or answer.json() != expected:
        raise RuntimeError(
            f"cannot compare: {server.name} answers {answer.status_code} {answer.text[:200]} to {body.decode()}, "
            f"the others {expected}"
        )
