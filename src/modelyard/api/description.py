"""What the interface says of itself: /api/openapi.json, and a page for people that loads nothing from elsewhere."""

import base64
import hashlib
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse

OPENAPI = "/api/openapi.json"
DOCS = "/api/docs"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; border-bottom: 1px solid #8884; }
code { font-size: .95em; overflow-wrap: anywhere; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def add_description(app: FastAPI) -> None:
    # Neither holds the application: FastAPI remembers the functions of routes for as long as the process lives.
    @app.get(OPENAPI, include_in_schema=False)
    def describe(request: Request) -> dict[str, Any]:
        return request.app.openapi()

    @app.get(DOCS, include_in_schema=False)
    def show_docs(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(request.app.openapi()), headers={"content-security-policy": _POLICY})


def _page(document: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(str(operation.get('description', '')))}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Modelyard API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<main><h1>Modelyard API {escape(document['info']['version'])}</h1>"
        "<p>Send the key as <code>Authorization: Bearer KEY</code>. Errors are "
        "<code>{&quot;error&quot;: {&quot;code&quot;, &quot;message&quot;, &quot;hint&quot;, "
        "&quot;request_id&quot;}}</code>. "
        f'Shapes of bodies and answers: <a href="{OPENAPI}">{OPENAPI}</a>.</p>'
        f"<table><thead><tr><th>Method</th><th>Path</th><th>What it does</th></tr></thead><tbody>{rows}</tbody>"
        "</table></main></body></html>"
    )
