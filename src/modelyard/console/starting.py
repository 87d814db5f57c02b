"""Trainings and batches that are deployed: a form to start one now, from what its document says."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.console.places import place_of
from modelyard.console.resources import actions_on, shown_resource
from modelyard.console.visits import Action, Answer, Page, Visit
from modelyard.sdk.client import Client

NEW_ROWS = 2
"""Hyperparameters that the document does not have and somebody may want to set."""


@dataclass(frozen=True, slots=True)
class Change:
    """What may be otherwise this once."""

    name: str
    value: str
    """As the document has it; left so, it is not sent."""


def training_page(client: Client, visit: Visit) -> dict[str, Any]:
    shown = shown_resource(client, "training", visit.names["name"])
    return _startable(shown, shown["resource"]["spec"]["run"]["hyperparameters"], NEW_ROWS)


def batch_page(client: Client, visit: Visit) -> dict[str, Any]:
    shown = shown_resource(client, "batch", visit.names["name"])
    spec: dict[str, Any] = shown["resource"]["spec"]
    return _startable(shown, {name: spec.get(name) for name in ("input", "output")}, 0)


def _startable(shown: dict[str, Any], given: Mapping[str, Any], more: int) -> dict[str, Any]:
    changes = [Change(name, "" if value is None else str(value)) for name, value in given.items()]
    name = shown["resource"]["name"]
    example = f" --set {shlex.quote(f'{changes[0].name}={changes[0].value}')}" if changes else ""
    return {**shown, "changes": changes, "more": range(more), "starting": f"modelyard start {name}{example}"}


def changed(visit: Visit) -> dict[str, str]:
    """What was typed otherwise than it stood in the document, by name."""
    names, values, before = (visit.form.get(field, []) for field in ("name", "value", "before"))
    rows = zip(names, values, before, strict=False)
    return {name.strip(): value.strip() for name, value, was in rows if name.strip() and value.strip() != was}


def start_training(client: Client, visit: Visit) -> Answer:
    run = client.start("training", visit.names["name"], hyperparameters=changed(visit))
    return place_of("run", run["id"])


def start_batch(client: Client, visit: Visit) -> Answer:
    transform = client.start("batch", visit.names["name"], **changed(visit))
    return place_of("transform", transform["id"])


def _actions(kind: str, start: Action) -> dict[str, Action]:
    return {**actions_on(kind), "start": start}


PAGES = (
    Page("/resources/training/{name}", "startable.html", training_page, _actions("training", start_training)),
    Page("/resources/batch/{name}", "startable.html", batch_page, _actions("batch", start_batch)),
)
