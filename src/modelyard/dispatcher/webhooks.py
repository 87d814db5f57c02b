"""Tells a webhook of an end: SageMaker's notification, signed, tried again with growing pauses until it was taken."""

import base64
import json
from typing import Any

import httpx

from modelyard.clock import Clock, iso
from modelyard.domain.invocations import (
    RESULT_SENT_BYTES_MAX,
    Invocation,
    InvocationStatus,
    WebhookDelivery,
    delivery_begun,
    delivery_ended,
)
from modelyard.domain.webhooks import secret_text, webhook_headers
from modelyard.protocol.invocations import FAILURE_PART, RESULT_PART, invocation_path
from modelyard.settings import Home
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.ports import Store
from modelyard.store.webhook_keys import webhook_secret

DELIVERY_SECONDS = 10.0
"""How long a receiver may take."""

CONNECTIONS_MAX = 32


class Webhooks:
    """`origin` is the yard's own address, for the places of results."""

    def __init__(self, home: Home, store: Store, files: InvocationFiles, clock: Clock, origin: str) -> None:
        self._home = home
        self._store = store
        self._files = files
        self._clock = clock
        self._origin = origin
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def deliver(self, one: Invocation) -> None:
        """One try. That it begins is written first, so that a receiver is never told more often than is remembered."""
        assert one.delivery is not None
        delivery = delivery_begun(one.delivery, self._clock.now())
        self._store.invocations.put_delivery(one.sequence, delivery)
        error = await self._try(one, delivery)
        self._store.invocations.put_delivery(one.sequence, delivery_ended(delivery, error))

    async def _try(self, one: Invocation, delivery: WebhookDelivery) -> str | None:
        """None where the receiver took it, else why not."""
        body = json.dumps(self._message(one)).encode()
        secret = webhook_secret(self._home.webhook_key, one.endpoint)
        headers = webhook_headers(delivery.id, self._clock.now(), body, secret_text(secret))
        if self._client is None:
            # A receiver that sends elsewhere is none: what it named was checked, the other place was not.
            limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
            self._client = httpx.AsyncClient(timeout=DELIVERY_SECONDS, limits=limits, follow_redirects=False)
        try:
            response = await self._client.post(str(one.request.webhook), content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"
        return None if response.is_success else f"it answered with status {response.status_code}"

    def _message(self, one: Invocation) -> dict[str, Any]:
        completed = one.status is InvocationStatus.COMPLETED
        path = self._origin + invocation_path(one.endpoint, one.id)
        message: dict[str, Any] = {
            "eventVersion": "1.0",
            "eventSource": "modelyard",
            "eventName": "InferenceResult",
            "eventTime": iso(one.ended_at or self._clock.now()),
            "invocationStatus": "Completed" if completed else "Failed",
            "inferenceId": one.id,
            "status": one.status.value,
            "attempt": one.attempt,
            "requestParameters": {
                "endpointName": one.endpoint,
                "contentType": one.request.content_type,
                "inputLocation": one.request.input_location,
            },
        }
        if completed and one.result is not None:
            message["responseParameters"] = {
                "contentType": one.result.content_type,
                "outputLocation": path + RESULT_PART,
            }
        else:
            message["failureReason"] = one.reason
            message["responseParameters"] = {"failureLocation": path + FAILURE_PART}
        if one.request.include_result:
            message |= self._body(one)
        return message

    def _body(self, one: Invocation) -> dict[str, Any]:
        """The result itself, where it is small."""
        if one.result is None or one.result.stored.size_bytes > RESULT_SENT_BYTES_MAX:
            return {}
        file = one.result.stored.file
        content = (
            self._files.path(file).read_bytes()
            if file is not None
            else self._store.invocations.content(one.sequence, result=True)
        )
        try:
            return {"responseBody": {"content": content.decode(), "encoding": "TEXT"}}
        except UnicodeDecodeError:
            return {"responseBody": {"content": base64.b64encode(content).decode(), "encoding": "BASE64"}}
