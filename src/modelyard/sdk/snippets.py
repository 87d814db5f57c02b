"""How somebody asks an endpoint by hand: lines to paste, for the command line and the console."""

import json
import shlex
from typing import TYPE_CHECKING

from modelyard.sdk.address import is_here

if TYPE_CHECKING:
    from modelyard.protocol.views_of_endpoints import EndpointView

EXAMPLE_LENGTH_MAX = 400
"""Characters of a body that a line to paste may have; a longer one is a file's affair."""

JSON = "application/json"

UNKNOWN = "a body of your own: nothing says what it takes"
"""Where a line has no example, because the predictor has no hint of what it wants."""

A_MODEL = "NAME"
"""Stands for the model that a request is for, where an endpoint has several."""

_FILES = {JSON: "data.json", "image/jpeg": "image.jpg", "text/csv": "data.csv", "text/plain": "data.txt"}


def curl_words(url: str, place: str, view: "EndpointView") -> list[str]:
    """The words of a command, an option with its value as one. `url` is the yard's, `place` where the endpoint is."""
    kind = _kind(view)
    asked = f"'{place}?model={A_MODEL}'" if view.has_models else place
    words = [f"curl {asked}", f"-H 'content-type: {kind}'"]
    # Elsewhere than on loopback, predictions need the key too; the shell fills it in, so that it is never printed.
    if not is_here(url):
        words.append('-H "x-api-key: $MODELYARD_API_KEY"')
    if kind != JSON:
        return [*words, f"--data-binary @{_file(kind)}"]
    example = view.example
    if example is None:
        return [*words, f"-d @{_file(kind)}  # {UNKNOWN}"]
    body = shlex.quote(example)
    return [*words, f"-d {body}" if len(body) <= EXAMPLE_LENGTH_MAX else f"-d @{_file(kind)}"]


def python_lines(url: str, view: "EndpointView") -> str:
    """The same with the library."""
    kind, example = _kind(view), view.example
    head, data = "", ""
    if kind != JSON:
        head, body = "from pathlib import Path\n\n", f"Path({_file(kind)!r}).read_bytes(), content_type={kind!r}"
    elif example is not None and len(example) <= EXAMPLE_LENGTH_MAX:
        body = repr(json.loads(example))
    else:
        head, body = "import json\nfrom pathlib import Path\n\n", "data"
        data = f"data = json.loads(Path({_file(kind)!r}).read_text()){'' if example else f'  # {UNKNOWN}'}\n"
    body += f", model={A_MODEL!r}" if view.has_models else ""
    ask = f"yard.predict{'_async' if view.is_queued else ''}({view.name!r}, {body})"
    return f"{head}from modelyard import Client\n\n{data}with Client({url!r}) as yard:\n    print({ask})"


def _kind(view: "EndpointView") -> str:
    """What a body is: JSON where there is an example of one, or nothing is known."""
    kind = view.content_type or JSON
    return JSON if view.example else kind.replace("image/*", "image/jpeg")


def _file(kind: str) -> str:
    return _FILES.get(kind, "data.bin")
