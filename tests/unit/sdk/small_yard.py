"""A yard small enough to hold in one hand: the REST of contributing/ARCHITECTURE.md over real HTTP, in memory."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "a-key-of-this-test"
THEN = "2026-01-31T12:00:00.000Z"
NOW = "2026-01-31T12:00:05.000Z"


@dataclass
class SmallYard:
    """What the server holds; tests read and change it."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    specs: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[tuple[bytes, str]] = field(default_factory=list)
    autoscaling: dict[str, Any] | None = None
    decisions: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    looks_until_settled: int = 2
    settles_as: str = "live"
    run_ends_as: str = "Completed"
    url: str = ""
    errors: list[BaseException] = field(default_factory=list)

    def serve(self) -> ThreadingHTTPServer:
        yard = self

        class Handler(_Handler):
            held = yard

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def add_endpoint(self, name: str, version: int = 1, state: str = "live") -> dict[str, Any]:
        view = {
            "name": name, "project": "p", "model": None, "state": state, "sentence": f"{name} is {state}",
            "kind": "endpoint", "is_function": False, "is_queued": False, "has_models": False, "access": None,
            "ready": 1, "requested": 1, "up_to_date": 1, "serving_version": version, "wished_version": version,
            "created_at": THEN, "updated_at": THEN, "last_request_at": None, "expires_at": None,
            "url": f"{self.url}/endpoints/{name}/invocations", "replicas": [], "model_asked": None,
            "versions": [
                {"number": version, "state": "ready", "reason": None, "model": None, "model_asked": None,
                 "created_at": THEN, "cause": "deploy", "source": None, "by": "ada@desk"},
            ],
            "notes": [], "example": None, "content_type": None, "rollout": None, "shadow": None,
        }  # fmt: skip
        self.endpoints[name] = view
        return view

    def add_run(self, run: str, training: str, status: str = "Completed") -> dict[str, Any]:
        view = {
            "id": run, "training": training, "project": "p", "status": status, "step": status, "created_at": THEN,
            "started_at": THEN, "ended_at": NOW, "steps": [["Training", THEN], [status, NOW]], "exit_code": 0,
            "failure_reason": None, "metrics": {"rmse": 1.5}, "model": "price", "model_version": 1,
            "hyperparameters": {}, "inputs": {}, "sources": {}, "stop_requested": False, "algorithm": None,
            "entry": None, "code": None, "git_commit": None, "attempt": 1, "retry_count": 0, "priority": 0,
            "waiting": None,
        }  # fmt: skip
        self.runs[run] = view
        return view

    def add_model(self, name: str, tree: str, framework: str | None) -> dict[str, Any]:
        versions = self.models.setdefault(name, [])
        view = {
            "model": name, "version": len(versions) + 1, "reference": f"{name}:{len(versions) + 1}", "tree": tree,
            "size_bytes": 10, "framework": framework, "created_at": THEN, "project": "p", "lineage": {},
            "aliases": [], "tags": {}, "approval": {"state": "pending", "by": None, "at": None, "note": None},
        }  # fmt: skip
        versions.insert(0, view)
        return view


class _RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    held: SmallYard
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's)
        """Quiet."""

    def do_GET(self) -> None:
        self._answer_with(self._get)

    def do_POST(self) -> None:
        self._answer_with(self._post)

    def do_PUT(self) -> None:
        self._answer_with(self._put)

    def do_DELETE(self) -> None:
        self._answer_with(self._delete)

    def _answer_with(self, route: Any) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.held.requests.append((self.command, parts.path))
        self.held.queries.append(self.query)
        try:
            if parts.path.startswith("/api") and self.headers.get("authorization") != f"Bearer {KEY}":
                raise _RefusalError(401, "unauthorized", "cannot answer without the key")
            answer = route(parts.path.removeprefix("/api/v1").strip("/").split("/"))
        except _RefusalError as refusal:
            error = {"code": refusal.code, "message": refusal.message, "hint": "a remedy", "request_id": "1"}
            self._send(refusal.status, {"error": error})
        else:
            self._send(200, answer)

    def _send(self, status: int, answer: Any) -> None:
        is_text = isinstance(answer, str)
        content = answer.encode() if is_text else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8" if is_text else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _get(self, path: list[str]) -> Any:  # noqa: C901 (a case for each route)
        yard = self.held
        match path:
            case ["healthz"]:
                return {}
            case ["status"]:
                process = {"name": "gateway", "pid": 7, "alive": True, "pss_bytes": 50 * 2**20}
                return {
                    "version": "0.1.0", "url": yard.url, "home": "/h", "started_at": THEN, "processes": [process],
                    "disk": {"free_bytes": 2**40, "total_bytes": 2**41, "limit_bytes": 2**30, "refusing": False},
                    "counts": {"endpoints": len(yard.endpoints), "models": len(yard.models), "runs": len(yard.runs)},
                }  # fmt: skip
            case ["endpoints"]:
                return {"endpoints": list(yard.endpoints.values())}
            case ["resources"]:
                return {"resources": []}
            case ["endpoints", name]:
                return self._look(name)
            case ["endpoints", name, "scaling"]:
                self._known(yard.endpoints, name)
                return {"name": name, "replicas": 3, "autoscaling": yard.autoscaling, "decisions": yard.decisions}
            case ["endpoints", name, "load"]:
                self._known(yard.endpoints, name)
                return {"name": name, "loads": yard.loads}
            case ["endpoints", name, "history"]:
                view = self._known(yard.endpoints, name)
                return {
                    "name": name, "wished_version": view["wished_version"], "serving_version": view["serving_version"],
                    "rollback_version": 1, "versions": view["versions"][::-1],
                }  # fmt: skip
            case ["runs"]:
                wanted = self.query.get("training")
                return {"runs": [one for one in yard.runs.values() if wanted in (None, one["training"])]}
            case ["transforms" | "tunings" as noun]:
                return {noun: []}
            case ["runs", run]:
                return self._known(yard.runs, run)
            case ["endpoints" | "runs", _, "logs"]:
                return "one\ntwo\n"
            case ["models"]:
                return {"models": [versions[0] for versions in yard.models.values()]}
            case ["models", name]:
                return {"name": name, "versions": self._known(yard.models, name)}
            case ["events"]:
                return {"events": [{"at": THEN, "kind": "endpoint", "name": "price", "sentence": "creating"}]}
            case _:
                raise _RefusalError(404, "not_found", f"cannot find {self.path}")

    def _look(self, name: str) -> dict[str, Any]:
        yard = self.held
        view = self._known(yard.endpoints, name)
        if view["state"] == "deleting":
            del yard.endpoints[name]
        if view["state"] == "updating":
            view["looks"] = view.get("looks", 0) + 1
            if view["looks"] >= yard.looks_until_settled:
                failed = yard.settles_as == "error"
                view["state"] = yard.settles_as
                view["versions"][-1]["state"] = "failed" if failed else "ready"
                view["serving_version"] = None if failed else view["wished_version"]
        return view

    def _post(self, path: list[str]) -> Any:
        yard = self.held
        if path[0] == "endpoints" and path[2] in ("rollback", "refresh"):
            return self._repeat(path[1], path[2], json.loads(self.body))
        if path[0] == "endpoints":
            yard.predictions.append((self.body, self.headers["content-type"]))
            self._known(yard.endpoints, path[1])
            return {"rows": len(self.body)}
        document = json.loads(self.body or b"{}")
        match path:
            case ["artifacts", "missing"]:
                return {"missing": [one for one in document["digests"] if one not in yard.blobs]}
            case ["trees"]:
                assert all(one["sha256"] in yard.blobs for one in document["files"])
                digest = hashlib.sha256(json.dumps(document["files"], sort_keys=True).encode()).hexdigest()
                yard.trees[digest] = document["files"]
                return {"digest": digest}
            case ["deployments"]:
                yard.deployments.append(document)
                return {"outcomes": [self._deploy(one) for one in document["resources"]]}
            case ["runs"]:
                yard.specs.append(document)
                return yard.add_run(f"{document['training']}-1", document["training"], yard.run_ends_as)
            case ["runs", run, "stop"]:
                return {**self._known(yard.runs, run), "status": "Stopped"}
            case ["models", name, "versions"]:
                return yard.add_model(name, document["tree"], document["framework"])
            case ["links"]:
                return {"url": f"{yard.url}/console/enter?link=once", "expires_at": NOW}
            case _:
                raise _RefusalError(404, "not_found", f"cannot find {self.path}")

    def _deploy(self, resource: dict[str, Any]) -> dict[str, Any]:
        name = resource["name"]
        view = self.held.add_endpoint(name, 1, "updating")
        view["versions"][0]["state"] = "new"
        view["serving_version"] = None
        sentence = f"creating {name} (endpoint)"
        return {"kind": "endpoint", "name": name, "change": "creating", "version": 1, "sentence": sentence}

    def _repeat(self, name: str, cause: str, document: dict[str, Any]) -> dict[str, Any]:
        source = document["to" if cause == "rollback" else "version"]
        number = self._known(self.held.endpoints, name)["wished_version"] + 1
        view = self.held.add_endpoint(name, number, "updating")
        view["versions"][0] |= {"state": "new", "cause": cause, "source": source, "by": document["by"]}
        change = "rolling back" if cause == "rollback" else "refreshing"
        sentence = f"{change} {name} (endpoint) as version {number}"
        return {
            "kind": "endpoint", "name": name, "change": change, "version": number, "source": source,
            "sentence": sentence,
        }  # fmt: skip

    def _put(self, path: list[str]) -> Any:
        digest = hashlib.sha256(self.body).hexdigest()
        if path[1] != digest:
            raise _RefusalError(400, "invalid_value", "cannot store it: the content has another digest")
        self.held.blobs[digest] = self.body
        return {"sha256": digest, "size_bytes": len(self.body)}

    def _delete(self, path: list[str]) -> Any:
        yard = self.held
        if path[0] == "models":
            return {"deleted": len(yard.models.pop(path[1]))}
        view = self._known(yard.endpoints, path[1])
        view["state"] = "deleting"
        return view

    def _known(self, things: dict[str, Any], name: str) -> Any:
        if name not in things:
            raise _RefusalError(404, "not_found", f"cannot find {name!r}")
        return things[name]
