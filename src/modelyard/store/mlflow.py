"""MLflow's server as something that remembers runs: the few of its REST calls that the outbox and the door need.

All of them may be repeated: a run is begun once, a parameter that is there with the same value stays, a point of a
metric that is there is not added again, and an end is written over an end.
"""

import base64
import http.client
import json
import socket
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from modelyard.domain.runs import Run
from modelyard.domain.tracking import (
    PARAMS_PER_BATCH_MAX,
    RUN_TAG,
    TAGS_PER_BATCH_MAX,
    Point,
    end_tags_of,
    inputs_of,
    metrics_of,
    params_of,
    pieces,
    status_of,
    tags_of,
)
from modelyard.errors import NotReady, StoreFailed
from modelyard.protocol.routes import MLFLOW
from modelyard.settings import Home

ANSWER_SECONDS = 30.0
_ANSWER_BYTES_MAX = 16 * 2**20
_API = "/api/2.0/mlflow"


class Tracker:
    """The yard's own server, where it runs, or the one at `url`. Never starts it. Safe for one thread at a time."""

    def __init__(self, home: Home, url: str | None = None) -> None:
        self._socket = str(home.tracking_socket)
        self._url = urlsplit(url) if url else None
        self._experiments: dict[str, str] = {}
        self._foreign_ids: dict[str, str] = {}

    @property
    def keeps_our_ids(self) -> bool:
        """Whether a run has the same id there as here, so that a script can be told of it before the run is there."""
        return self._url is None

    def answers(self) -> bool:
        """Whether somebody listens; for a server elsewhere asking is the only way to know."""
        if self._url is not None:
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(1.0)
            try:
                asking.connect(self._socket)
            except OSError:
                return False
        return True

    def begin(self, run: Run) -> str:
        """Its id there. Raises NotReady where the server is away, StoreFailed where it refuses."""
        if run.id in self._foreign_ids:
            return self._foreign_ids[run.id]
        experiment = self._experiment(run.spec.training)
        found = None if self.keeps_our_ids else self._search(experiment, run.id)
        if found is None:
            document = {
                "experiment_id": experiment,
                "run_name": run.id,
                "user_id": "yard",
                "start_time": int((run.started_at or run.created_at) * 1000),
                "tags": next(pieces(tags_of(run), TAGS_PER_BATCH_MAX)),
            }
            found = str(self._post("runs/create", document)["run"]["info"]["run_id"])
        if not self.keeps_our_ids:
            self._foreign_ids[run.id] = found
        return found

    def describe(self, run: Run) -> None:
        """Its parameters and inputs."""
        there = self.begin(run)
        for some in pieces(params_of(run), PARAMS_PER_BATCH_MAX):
            self._post("runs/log-batch", {"run_id": there, "params": some})
        if run.spec.inputs:
            self._post("runs/log-inputs", {"run_id": there, "datasets": inputs_of(run)})

    def log(self, run: Run, points: list[Point]) -> None:
        """At most METRICS_PER_BATCH_MAX points."""
        self._post("runs/log-batch", {"run_id": self.begin(run), "metrics": metrics_of(points)})

    def end(self, run: Run) -> None:
        there = self.begin(run)
        for some in pieces(end_tags_of(run), TAGS_PER_BATCH_MAX):
            self._post("runs/log-batch", {"run_id": there, "tags": some})
        ended = int((run.ended_at or run.created_at) * 1000)
        self._post("runs/update", {"run_id": there, "status": status_of(run), "end_time": ended})
        self._foreign_ids.pop(run.id, None)

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            status, answer = self._ask("GET", f"experiments/get-by-name?experiment_name={quote(name)}")
            if status == 200:
                found = answer["experiment"]
                if found.get("lifecycle_stage") == "deleted":
                    self._post("experiments/restore", {"experiment_id": found["experiment_id"]})
                self._experiments[name] = str(found["experiment_id"])
            else:
                self._experiments[name] = str(self._post("experiments/create", {"name": name})["experiment_id"])
        return self._experiments[name]

    def _search(self, experiment: str, run: str) -> str | None:
        asked = {"experiment_ids": [experiment], "filter": f"tags.`{RUN_TAG}` = '{run}'", "max_results": 1}
        found: list[dict[str, Any]] = self._post("runs/search", asked).get("runs") or []
        return str(found[0]["info"]["run_id"]) if found else None

    def _post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        status, answer = self._ask("POST", path, document)
        if status >= 500 or status == 429:
            raise NotReady(f"cannot tell MLflow {path}: it answered {status}", "log/mlflow.log says why")
        if status >= 400:
            self._experiments.clear()
            raise StoreFailed(f"cannot tell MLflow {path}: {answer.get('message', status)}")
        return answer

    def _ask(self, method: str, path: str, document: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        connection = self._connection()
        headers = {"content-type": "application/json", "host": "localhost", **self._credentials()}
        if self._url is not None:
            del headers["host"]
        prefix = self._url.path.rstrip("/") if self._url is not None else MLFLOW
        try:
            body = None if document is None else json.dumps(document).encode()
            connection.request(method, f"{prefix}{_API}/{path}", body, headers)
            response = connection.getresponse()
            answer = response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise NotReady(f"cannot reach MLflow: {error!r}", "what is to be told is kept") from error
        finally:
            connection.close()
        try:
            return response.status, json.loads(answer or b"{}")
        except ValueError:
            return response.status, {"message": answer[:200].decode("utf-8", "replace")}

    def _connection(self) -> http.client.HTTPConnection:
        if self._url is None:
            return _UnixConnection(self._socket)
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "localhost", self._url.port, timeout=ANSWER_SECONDS)

    def _credentials(self) -> dict[str, str]:
        if self._url is None or self._url.username is None:
            return {}
        pair = f"{unquote(self._url.username)}:{unquote(self._url.password or '')}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(self._path)
