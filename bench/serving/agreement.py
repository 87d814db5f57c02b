"""Equal answers first: a server that is fast because it answers something else is not compared."""

import json

import httpx

from bench.serving.servers import Server
from bench.serving.subject import ANSWER, BODY, flowers

_HEADERS = {"content-type": "application/json"}


def check_agreement(servers: list[Server], constant: Server) -> int:
    """Asks every server for every flower, and the constant one for the benchmark's; returns how many were compared.

    Raises RuntimeError at the first difference.
    """
    rows = [json.dumps([row]).encode() for row in flowers()[0].tolist()]
    with httpx.Client(headers=_HEADERS) as http:
        _expect(http, constant, BODY, json.loads(ANSWER))
        for row in rows:
            expected = http.post(servers[0].url, content=row).raise_for_status().json()
            for server in servers[1:]:
                _expect(http, server, row, expected)
        for server in servers:
            _expect(http, server, BODY, json.loads(ANSWER))
    return len(rows)


def _expect(http: httpx.Client, server: Server, body: bytes, expected: object) -> None:
    answer = http.post(server.url, content=body)
    if not answer.is_success or answer.json() != expected:
        raise RuntimeError(
            f"cannot compare: {server.name} answers {answer.status_code} {answer.text[:200]} to {body.decode()}, "
            f"the others {expected}"
        )
