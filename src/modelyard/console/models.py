"""Models: their newest versions, all versions of one, and one with what made it and what serves it."""

from typing import Any, cast
from urllib.parse import quote

from modelyard.console.paging import one_page
from modelyard.console.sent_files import sent_folder
from modelyard.console.visits import Answer, Page, Visit
from modelyard.errors import InvalidValue, NotFound
from modelyard.sdk.client import Client

APPROVALS = ("pending", "approved", "rejected")


def model_list(client: Client, visit: Visit) -> dict[str, Any]:
    text = visit.asked("q").lower()
    found = [one for one in client.models() if text in f"{one['model']} {one['framework'] or ''}".lower()]
    shown, paging = one_page(found, visit)
    return {"models": shown, "paging": paging}


def register(client: Client, visit: Visit) -> Answer:
    """What was sent becomes the model's next version: one file, or all of them as a folder. Raises InvalidValue."""
    with sent_folder(visit) as folder:
        sent = [*folder.iterdir()]
        if not sent:
            raise InvalidValue("cannot register a model without its file", "choose the file, or all of its folder")
        made = client.register(
            visit.typed("name"), sent[0] if len(sent) == 1 else folder, project=visit.typed("project")
        )
    return f"/models/{quote(made['model'])}/{made['version']}"


def model_page(client: Client, visit: Visit) -> dict[str, Any]:
    versions = client.model(visit.names["model"])
    if not versions:
        raise NotFound(f"cannot find model {visit.names['model']!r}", "`modelyard models` lists what there is")
    metrics = sorted({name for one in versions for name in one["lineage"].get("metrics", {})})
    return {"model": versions[0]["model"], "versions": versions, "metrics": metrics[:4]}


def version_page(client: Client, visit: Visit) -> dict[str, Any]:
    found = client.model_version(_reference(visit))
    now = {(one["endpoint"], one["version"]) for one in found["serving"]}
    return {
        "version": found,
        "lineage": found["lineage"],
        "earlier": [one for one in found["served"] if (one["endpoint"], one["version"]) not in now],
        "approvals": APPROVALS,
    }


def give_alias(client: Client, visit: Visit) -> Answer:
    client.promote(_reference(visit), visit.typed("alias"))
    return _own(visit)


def take_alias(client: Client, visit: Visit) -> Answer:
    client.delete_alias(visit.names["model"], visit.typed("alias"))
    return _own(visit)


def decide(client: Client, visit: Visit) -> Answer:
    """Raises InvalidValue for what is no decision."""
    state = visit.typed("state")
    if state not in APPROVALS:
        raise InvalidValue(f"cannot decide {state[:20]!r}", f"say {', '.join(APPROVALS)}")
    client.decide_model(_reference(visit), cast("Any", state), visit.typed("note") or None)
    return _own(visit)


def tag(client: Client, visit: Visit) -> Answer:
    """An empty value takes the tag away."""
    client.tag_model(_reference(visit), {visit.typed("tag"): visit.typed("value") or None})
    return _own(visit)


def delete_version(client: Client, visit: Visit) -> Answer:
    visit.confirm(_reference(visit))
    client.delete_model(visit.names["model"], int(visit.names["version"]))
    return f"/models/{quote(visit.names['model'])}" if client.model(visit.names["model"]) else "/models"


def delete_model(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.names["model"])
    client.delete_model(visit.names["model"])
    return "/models"


def _reference(visit: Visit) -> str:
    return f"{visit.names['model']}:{visit.names['version']}"


def _own(visit: Visit) -> str:
    return f"/models/{quote(visit.names['model'])}/{visit.names['version']}"


PAGES = (
    Page("/models", "models.html", model_list, {"register": register}),
    Page("/models/{model}", "model.html", model_page, {"delete": delete_model}),
    Page(
        "/models/{model}/{version:int}",
        "model_version.html",
        version_page,
        {"alias": give_alias, "unalias": take_alias, "approval": decide, "tag": tag, "delete": delete_version},
    ),
)
