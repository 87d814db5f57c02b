"""What a browser is shown in an app's place: that it starts, that it is not there, that one may not come in."""

import base64
import hashlib
from html import escape

from modelyard.errors import ModelyardError

REFRESH_SECONDS = 1

_WAITING = (
    "fetch(location.href,{method:'HEAD'}).then(a=>a.ok?0:1000,()=>1000)"
    ".then(pause=>setTimeout(()=>location.reload(),pause))"
)
"""Asks once, and is answered when the app is there: a page that loaded itself anew each second would begin to be read
aloud each second. Where there is no script, it does load itself anew."""

_WAITING_DIGEST = base64.b64encode(hashlib.sha256(_WAITING.encode()).digest()).decode()

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:20vh auto;padding:0 1rem;color:#1d2433;"
    "background:#fff}h1{font-size:1.4rem}p{color:#4a5468}@media(prefers-color-scheme:dark){body{background:#12161f;"
    "color:#e8ecf4}p{color:#a9b3c6}a{color:#8ab0ff}}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _head(policy: str) -> bytes:
    """Header lines."""
    return (
        f"content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\ncontent-security-policy: {policy}\r\n"
        "x-content-type-options: nosniff\r\n"
    ).encode()


HEAD = _head(_POLICY)
WAITING_HEAD = _head(f"{_POLICY}; script-src 'sha256-{_WAITING_DIGEST}'; connect-src 'self'")


def error_page(error: ModelyardError, request_id: str, console: str | None = None) -> bytes:
    """An error for people; the same words as the one shape has. `console` is where somebody who may not come in can
    sign out, and come back as somebody else."""
    sentence = error.message[:1].upper() + error.message[1:]
    other = (
        f'<p><a href="{escape(console)}">Sign out at the yard</a> to come in as somebody else.</p>' if console else ""
    )
    return _page(sentence, error.hint or "", f"Request {request_id}", below=other)


def waiting_page(name: str) -> bytes:
    """An app that nobody looked at for a while comes back; the page asks again by itself."""
    again = f'<noscript><meta http-equiv="refresh" content="{REFRESH_SECONDS}"></noscript><script>{_WAITING}</script>'
    return _page(f"{name} is starting", "This page shows it as soon as it is there.", more=again)


def stopped_page(name: str) -> bytes:
    return _page(f"{name} is stopped", "No replica of it is wished for. Whoever deploys it can start it again.")


def _page(title: str, text: str, small: str = "", *, more: str = "", below: str = "") -> bytes:
    """`more` stands in the head, `below` after the text."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{more}'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{below}<p><small>{escape(small)}</small></p></main>"
        "</body></html>"
    ).encode()
