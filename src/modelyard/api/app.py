"""The application: every noun's routes under /api/v1, its description, and who may ask."""

from fastapi import FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from modelyard.api import (
    alarms,
    artifacts,
    audit,
    batches,
    captures,
    deployments,
    description,
    endpoints,
    entries,
    events,
    gateways,
    groups,
    inputs,
    invocations,
    keys,
    logins,
    metrics,
    mlflow_models,
    models,
    overview,
    packages,
    providers,
    replays,
    resources,
    retention,
    rollouts,
    runs,
    scaling,
    schedules,
    secrets,
    sessions,
    status,
    submissions,
    tokens,
    trainings,
    transforms,
    tunings,
    users,
)
from modelyard.api.access import Access
from modelyard.api.errors import handle_errors
from modelyard.api.room import Room
from modelyard.api.yard import Yard
from modelyard.version import VERSION

_NOUNS = (
    status,
    overview,
    artifacts,
    deployments,
    endpoints,
    rollouts,
    invocations,
    resources,
    runs,
    trainings,
    transforms,
    batches,
    submissions,
    schedules,
    tunings,
    inputs,
    models,
    mlflow_models,
    packages,
    events,
    secrets,
    scaling,
    metrics,
    captures,
    replays,
    alarms,
    gateways,
    retention,
    sessions,
    entries,
    users,
    groups,
    providers,
    logins,
    keys,
    tokens,
    audit,
)


def create_app(yard: Yard, pages: list[BaseRoute] | None = None) -> ASGIApp:
    """The yard's control application. `pages` are routes beside the interface, such as the console's."""
    app = FastAPI(title="Modelyard", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    for noun in _NOUNS:
        # Included, each route would be built twice: once here and once when it is first asked for.
        app.router.routes.extend(noun.routes(yard).routes)
    description.add_description(app)
    app.router.routes.extend(pages or [])
    handle_errors(app)
    return Access(Room(app, yard), yard)
