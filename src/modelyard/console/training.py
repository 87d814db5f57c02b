"""A training or a tuning that is started from the browser, once, without being deployed: as `modelyard train` does."""

from typing import Any

from modelyard.console.places import place_of
from modelyard.console.sent_files import YARD_FILE, sent_project
from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client
from modelyard.sdk.trainings import choose_started

EXAMPLE = """\
- name: price-training
  kind: training
  algorithm: xgboost
  inputs: {train: train.csv, validation: validation.csv}
  hyperparameters: {num_round: 60}
  model: price
- name: price-tuning
  kind: tuning
  training: price-training
  objective: {metric: validation-rmse, direction: minimize}
  max_trials: 12
  parameters: {max_depth: {min: 2, max: 8}, eta: {min: 0.02, max: 0.5, scaling: logarithmic}}
"""


def train_form(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {
        "text": next(iter(visit.form.get("text", ())), EXAMPLE),
        "project": visit.typed("project"),
        "name": visit.typed("name"),
    }


def train(client: Client, visit: Visit) -> Answer:
    """Raises InvalidValue before anything is started where the file, or what it names, is not right."""
    with sent_project(client, visit) as (project, file):
        chosen = choose_started(file, visit.typed("name") or None)
        if chosen.kind == "tuning":
            return place_of("tuning", client.start_tuning(chosen, file, project=project).id)
        run = client.start_training(chosen, file.folder, project=project, yard_file=file.folder / YARD_FILE)
        return place_of("run", run["id"])


PAGES = (Page("/jobs/start", "train.html", train_form, {"run": train}),)
