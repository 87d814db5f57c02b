"""Paths, headers and limits that more than one process must agree on."""

API = "/api/v1"
CONSOLE = "/console"
ENDPOINTS = "/endpoints/"
INVOCATIONS = "/invocations"
AWS = "/aws"
DVC = "/dvc"
"""Data remotes, `/dvc/NAME`."""
HEALTH = "/healthz"
READY = "/readyz"
METRICS = "/metrics"

REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH_MAX = 128
KEY = "x-api-key"
"""Beside `Authorization: Bearer KEY`."""

HEADER_BYTES_MAX = 64 * 2**10
"""All headers of one request together; beyond it 431."""

BODY_BYTES_MAX_API = 8 * 2**20
"""Bodies of control requests that are not streamed to disk."""
