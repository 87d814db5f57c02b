"""A transform that is started from the browser. Paths are those of the yard's machine, which reads and writes them."""

import shlex
from typing import Any

from modelyard.console.places import place_of
from modelyard.console.visits import Answer, Page, Visit
from modelyard.domain.names import check_name
from modelyard.sdk.client import Client

OFFERED_MAX = 200
"""Models and endpoints that a field suggests."""

OPTIONS = {
    "split": ("", "Line", "RecordIO", "None"),
    "assemble": ("", "Line", "None"),
    "strategy": ("", "MultiRecord", "SingleRecord"),
}
"""Words that may be chosen; the first leaves it to the yard."""

TEXTS = ("content_type", "accept")


def transform_form(client: Client, visit: Visit) -> dict[str, Any]:
    endpoints = client.headlines(kinds=["endpoint"], limit=OFFERED_MAX).headlines
    typed = {name: visit.typed(name) for name in ("model", "input", "output", "project", *TEXTS, *OPTIONS)}
    return {
        "offered": [one["model"] for one in client.models()][:OFFERED_MAX]
        + [f"endpoint/{one.name}" for one in endpoints],
        "typed": typed,
        "options": OPTIONS,
        "texts": TEXTS,
        "line": _line(typed),
    }


def transform(client: Client, visit: Visit) -> Answer:
    chosen: dict[str, Any] = {name: visit.typed(name) or None for name in (*TEXTS, *OPTIONS)}
    started = client.transform(
        visit.typed("model"),
        visit.typed("input"),
        visit.typed("output"),
        project=check_name(visit.typed("project"), "project name"),
        **chosen,
    )
    return place_of("transform", started.id)


def _line(typed: dict[str, str]) -> str:
    """What a shell is told for the same."""
    words = [shlex.quote(typed[name] or name.upper()) for name in ("model", "input", "output")]
    options = [
        f"--{name.replace('_', '-')} {shlex.quote(typed[name])}"
        for name in ("project", *TEXTS, *OPTIONS)
        if typed[name]
    ]
    return " ".join(["modelyard transform", *words, *options])


PAGES = (Page("/jobs/transform", "transforming.html", transform_form, {"run": transform}),)
