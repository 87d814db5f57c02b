"""Which kind of web application an object is, and what ASGI and WSGI applications have in common here.

An application is called in the replica with the request as it came: method, path below `/endpoints/NAME`, query,
headers and body. A plain prediction reaches it as `POST /invocations`, SageMaker's own route.
"""

import inspect
from typing import Any

from modelyard_worker.asgi import AsgiApp
from modelyard_worker.servable import Servable, Serving
from modelyard_worker.wsgi import WsgiApp


def web_app(app: Any, serving: Serving) -> Servable:
    """Serves an ASGI or a WSGI application: what is called with `await` is the former."""
    return AsgiApp(app, serving) if is_asgi(app) else WsgiApp(app, serving)


def is_asgi(app: Any) -> bool:
    """Whether an application is called with `await`."""
    called = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
    return inspect.iscoroutinefunction(called)
