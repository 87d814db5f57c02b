"""A deploy from the browser: a yard file that is written or chosen there, and the files that it names."""

from typing import Any

from modelyard.console.sent_files import sent_project
from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client

EXAMPLE = """\
- name: price
  model: price
  autoscaling: {min_replicas: 0, max_replicas: 4}
"""


def deploy_form(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {
        "text": next(iter(visit.form.get("text", ())), EXAMPLE),
        "project": visit.typed("project"),
        "prune": bool(visit.typed("prune")),
        "outcomes": None,
    }


def deploy(client: Client, visit: Visit) -> Answer:
    """Raises InvalidValue before anything is changed where the file, or what it names, is not right."""
    with sent_project(client, visit) as (project, file):
        done = client.deploy(file, project=project, prune=bool(visit.typed("prune")))
    return {"outcomes": done.outcomes, "notes": done.notes}


PAGES = (Page("/deploy", "deploy.html", deploy_form, {"run": deploy}),)
