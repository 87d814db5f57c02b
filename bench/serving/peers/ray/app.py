"""Ray Serve with its batching: `serve run app:app`."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# The library is in the environment of the peer alone, and pyright takes this folder for it.
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.serving.work import BATCH_ROWS_MAX, CASE_VARIABLE, MODELS_VARIABLE, batch_wait_seconds, load_work


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Peer:
    def __init__(self) -> None:
        self.work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))

    @serve.batch(max_batch_size=BATCH_ROWS_MAX, batch_wait_timeout_s=batch_wait_seconds(os.environ[CASE_VARIABLE]))
    async def predict(self, requests: list[Any]) -> list[Any]:
        values = self.work(np.concatenate([np.asarray(one) for one in requests]))
        return [[one] for one in values.tolist()]

    async def __call__(self, request: Request) -> Response:
        answer = await self.predict(orjson.loads(await request.body()))
        return Response(orjson.dumps(answer), media_type="application/json")


app = Peer.bind()
