"""`python -m modelyard_worker.app_server MODULE:NAME`: serves an ASGI or a WSGI application on `$PORT`.

ASGI needs uvicorn in the app's environment. WSGI is served by the standard library, a thread for each connection.
"""

import importlib
import os
import sys
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from modelyard_worker.signatures import CannotServe
from modelyard_worker.web_app import is_asgi

QUEUE_LENGTH = 128


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = QUEUE_LENGTH


class Handler(WSGIRequestHandler):
    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's)
        """What the application prints is what there is to read."""


def load(reference: str) -> Any:
    """The application that `MODULE:NAME` names, in the working directory. Raises CannotServe."""
    module_name, _, name = reference.partition(":")
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module(module_name.removesuffix(".py").replace("/", "."))
    found: Any = module
    for part in (name or "app").split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise CannotServe(f"cannot serve {reference}: {module_name} has no application {name or 'app'}")
    return found


def main() -> int:
    reference, host, port = sys.argv[1], os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    application = load(reference)
    if not is_asgi(application):
        with make_server(host, port, application, ThreadingServer, Handler) as server:
            server.serve_forever()
        return 0
    try:
        import uvicorn
    except ImportError as error:
        raise CannotServe("cannot serve an ASGI application: name uvicorn in requirements.txt") from error
    uvicorn.run(application, host=host, port=port, access_log=False, log_level="warning", timeout_keep_alive=30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
