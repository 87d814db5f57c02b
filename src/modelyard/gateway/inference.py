"""The Open Inference Protocol (`/v2`), version 2 of KServe's and Triton's HTTP face, on the fast lane.

The gateway does not translate: it passes the body on unread, with the length of its JSON part before it, and the
replica makes arrays of it (`modelyard_worker.inference`). So tensors are touched once, in the process that has NumPy
and the model's own types, and translating scales with the replicas; a gateway that parsed bodies would be slower for
everybody else.
"""

import json
from typing import TYPE_CHECKING

from modelyard_worker.frames import TENSORS, TENSORS_PREFIX

from modelyard.errors import InvalidValue, ModelyardError
from modelyard.gateway.answers import tensor_error
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.service import Service
from modelyard.version import VERSION

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection

HEADER_LENGTH = b"inference-header-content-length"
LENGTH_DIGITS_MAX = 10
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository")
"""Of Triton's extensions of the protocol, those that are spoken here."""

_JSON = b"content-type: application/json\r\n"
_TYPE = TENSORS.encode()


class Inference(Prediction):
    """A prediction whose body and answer are tensors."""

    __slots__ = ()

    def __init__(
        self,
        connection: "HttpConnection",
        service: Service,
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        query: bytes | None,
    ) -> None:
        """Raises InvalidValue where the headers cannot be."""
        super().__init__(connection, service, headers, fields, query, signed=False)
        # Its commonest client names no type at all.
        self.content_type = self.accept = _TYPE
        if fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise InvalidValue("cannot read a compressed body", "send it without Content-Encoding")
        self.put_before(TENSORS_PREFIX.pack(_header_length(fields)))

    def word(self, error: ModelyardError, predictor_status: int | None = None) -> tuple[int, bytes, bytes]:
        return tensor_error(error, self.request_id.decode("latin-1"), predictor_status)


def _header_length(fields: dict[bytes, bytes]) -> int:
    """Length of the JSON in front of the raw tensors, bytes; 0 where the whole body is JSON."""
    given = fields.get(HEADER_LENGTH)
    if given is None:
        return 0
    if not given.isdigit() or len(given) > LENGTH_DIGITS_MAX or not 0 < int(given) < 2**32:
        raise InvalidValue("cannot read Inference-Header-Content-Length: it is no length", "send a number of bytes")
    return int(given)


def server_state(path: bytes, *, ready: bool) -> tuple[bytes, bytes]:
    """(header lines, body) of the server's metadata, or of whether it is live or ready."""
    document: dict[str, object] = {"live": True} if path.endswith(b"/live") else {"ready": ready}
    if b"/health/" not in path:
        document = {"name": "modelyard", "version": VERSION, "extensions": list(EXTENSIONS)}
    return _JSON, json.dumps(document).encode()


def model_state(name: str, *, ready: bool) -> tuple[bytes, bytes]:
    """(header lines, body) of whether a model is ready."""
    return _JSON, json.dumps({"name": name, "ready": ready}).encode()
