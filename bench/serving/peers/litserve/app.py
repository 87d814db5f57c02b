"""LitServe with its batching: `python app.py PORT`."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# The library is in the environment of the peer alone, and pyright takes this folder for it.
import os
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np

from bench.serving.work import BATCH_ROWS_MAX, CASE_VARIABLE, MODELS_VARIABLE, batch_wait_seconds, load_work


class Peer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))

    def decode_request(self, request):
        return request

    def batch(self, inputs: list[Any]) -> Any:
        return np.concatenate([np.asarray(one) for one in inputs])

    def predict(self, rows: Any) -> Any:
        return self.work(np.asarray(rows))

    def unbatch(self, output: Any) -> Any:
        return [[one] for one in output.tolist()]

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    api = Peer(max_batch_size=BATCH_ROWS_MAX, batch_timeout=batch_wait_seconds(os.environ[CASE_VARIABLE]))
    server = litserve.LitServer(api, accelerator="cpu", timeout=30, track_requests=False)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
