"""A request as a web application is given it, and what becomes of its headers on the way back."""

from typing import List, NamedTuple, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from modelyard_worker.request import Request
from modelyard_worker.servable import Serving

INVOCATIONS = "/invocations"
"""Where a plain prediction arrives: SageMaker's route of a container."""

WANTS = ("headers", "query", "path")


class WebRequest(NamedTuple):
    method: str
    root: str
    """Path that the application is mounted at: `/endpoints/NAME`."""
    path: str
    """Below it, percent-encoded as it came."""
    query: str
    headers: List[Tuple[str, str]]
    """Lower-case names, values as they came; the content type is among them."""
    body: bytes

    @property
    def path_bytes(self) -> bytes:
        """The path below the root, decoded."""
        return unquote_to_bytes(self.path)

    def header(self, name: str) -> str:
        return next((value for one, value in self.headers if one == name), "")


def web_request(request: Request, serving: Serving) -> WebRequest:
    raw = request.meta.raw
    headers = [(name.lower(), value) for name, value in raw.headers if name.lower() != "content-length"]
    if request.meta.type and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", request.meta.type))
    headers.append(("content-length", str(len(request.body))))
    if not any(name == "x-request-id" for name, _ in headers):
        headers.append(("x-request-id", request.id))
    root = f"/endpoints/{serving.endpoint}"
    return WebRequest(raw.method or "POST", root, raw.path or INVOCATIONS, raw.query, headers, request.body)


def answer_headers(headers: Sequence[Tuple[str, str]]) -> Tuple[str, List[Tuple[str, str]]]:
    """(content type, the other headers) of an application's answer."""
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    rest = [(name, value) for name, value in headers if name.lower() not in ("content-type", "content-length")]
    return kind, rest
