"""Which of an endpoint's models a request names: by SageMaker's header, else by the query as Cortex's clients do."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

from modelyard.protocol import routes

TARGET_MODEL = routes.TARGET_MODEL.encode()


class AskedModel(NamedTuple):
    """Its fields are those of a request's meta (`modelyard_worker.request.Meta`)."""

    model: bytes | None
    model_version: bytes | None


def asked_model(headers: Sequence[tuple[bytes, bytes]], query: bytes | None) -> AskedModel:
    """`?model=price&version=3`, `?model_name=price&model_version=3`, or the header, which may say `price/3`."""
    named = next((value for name, value in headers if name == TARGET_MODEL), None)
    if query is None:
        return AskedModel(named, None)
    fields = parse_qs(query)
    model = named or _first(fields, b"model", b"model_name")
    return AskedModel(model, None if named else _first(fields, b"version", b"model_version"))


def _first(fields: dict[bytes, list[bytes]], *names: bytes) -> bytes | None:
    return next((fields[name][0] for name in names if name in fields), None)
