"""Endpoints: the list, and the page of one: what it did, its versions and the ways between them, its replicas and why
there are so many, a form to try it, its log."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from modelyard.console.charts import Chart, Point, Series, time_chart, with_gaps, with_noughts
from modelyard.console.formats import seconds_of, seconds_text
from modelyard.console.headlines import headline_list
from modelyard.console.places import PLACES
from modelyard.console.reports import reports
from modelyard.console.trying import Form, form_of
from modelyard.console.visits import Action, Answer, Content, Page, Visit
from modelyard.domain.replays import REQUESTS_MAX
from modelyard.errors import NotFound, NotReady
from modelyard.protocol.views_of_endpoints import EndpointView
from modelyard.sdk.client import Client
from modelyard.sdk.metrics import MetricsView
from modelyard.sdk.snippets import curl_words, python_lines

LINES_SHOWN = 100
LINES_SEARCHED = 10_000
"""As many as the yard hands out at once."""

LINES_OF_REPORTS = 1000
"""Of a function's log, in which its last reports are looked for."""

REPORTS_SHOWN = 10
CANDIDATES_OFFERED = 50
"""Models that the form of a replay suggests."""

DECISIONS_SHOWN = 8
VERSIONS_SHOWN = 20
EVENTS_SHOWN = 10
INVOCATIONS_SHOWN = 10

SPANS = {"15m": "15 min", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days"}
"""Times that charts can show."""

SPAN_SECONDS_MIN = 60.0
"""That a chart shows at least, of an endpoint that has just been made."""

YOUNG_SECONDS = 1800.0
"""Of an endpoint that is not older, the shortest of them is shown at first."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def endpoint_list(client: Client, visit: Visit) -> dict[str, Any]:
    return headline_list(client, visit, "endpoint")


def endpoint_page(client: Client, visit: Visit) -> dict[str, Any]:
    name = visit.names["name"]
    endpoint = client.endpoint(name)
    young = visit.now - seconds_of(endpoint.created_at) < YOUNG_SECONDS
    span = visit.asked("since")
    span = span if span in SPANS else "15m" if young else "1h"
    measured = client.metrics(name, since=span)
    captures = client.captures(name)
    invocations = client.invocations(name, limit=INVOCATIONS_SHOWN)
    lines = list(client.endpoint_logs(name, lines=LINES_OF_REPORTS if endpoint.is_function else LINES_SHOWN))
    return {
        "endpoint": endpoint,
        "place": PLACES[endpoint.kind],
        "history": client.history(name),
        "versions_shown": VERSIONS_SHOWN,
        "span": span,
        "spans": SPANS,
        "charts": charts_of(measured, seconds_of(endpoint.created_at)),
        "measured": measured,
        "scaling": client.scaling(name, limit=DECISIONS_SHOWN),
        "form": _form(client, name, endpoint),
        "curl": " \\\n  ".join(curl_words(client.url, endpoint.url, endpoint)),
        "python": python_lines(client.url, endpoint),
        "try_path": urlsplit(endpoint.url).path,
        "invocations": invocations,
        "webhook_secret": None,
        "dead": sum(one.get("status") == "failed" for one in invocations),
        "alarms": client.alarms(endpoint=name),
        "captures": captures,
        "replay_models": [one["reference"] for one in client.models()][:CANDIDATES_OFFERED] if captures["days"] else [],
        "replay_max": REQUESTS_MAX,
        "lines": lines[-LINES_SHOWN:],
        "reports": reports(lines)[-REPORTS_SHOWN:][::-1] if endpoint.is_function else [],
        "events": client.events(kind=endpoint.kind, name=endpoint.name, limit=EVENTS_SHOWN),
    }


def _form(client: Client, name: str, endpoint: EndpointView) -> Form:
    if not endpoint.ready and endpoint.example is None:
        return form_of({}, None)
    try:
        return form_of(client.schema(name), endpoint.example)
    except (NotReady, NotFound):
        return form_of({}, endpoint.example)


def log_page(client: Client, visit: Visit) -> dict[str, Any]:
    """The last lines that are wanted: by words, level, replica, time, request."""
    name, text = visit.names["name"], visit.asked("q")
    endpoint = client.endpoint(name)
    lines = client.endpoint_logs(
        name,
        lines=LINES_SEARCHED if text else 1000,
        replica=visit.asked("replica") or None,
        level=visit.asked("level") or None,
        since=visit.asked("since") or None,
        request=visit.asked("request") or None,
    )
    shown = [line for line in lines if text.lower() in line.lower()]
    return {
        "endpoint": endpoint,
        "place": PLACES[endpoint.kind],
        "lines": shown[-1000:],
        "levels": LEVELS,
        "narrowed": any(visit.asked(one) for one in ("q", "replica", "level", "since", "request")),
    }


def charts_of(measured: MetricsView, created_at: float) -> list[Chart]:
    """What an endpoint did over a while, from its first minute on."""
    begin, end, step = seconds_of(measured["since"]), seconds_of(measured["until"]), measured["step_seconds"]
    begin = min(max(begin, created_at), max(begin, end - SPAN_SECONDS_MIN))

    def points(name: str) -> list[Point]:
        return [(seconds_of(one["at"]), one["values"].get(name)) for one in measured["points"]]

    def silent(name: str, label: str) -> Series:
        return Series(label, with_noughts(points(name), begin, end, step) if measured["points"] else [])

    def measured_only(name: str, label: str, *, stepped: bool = False) -> Series:
        return Series(label, with_gaps(points(name), step), stepped)

    latencies = [measured_only(f"latency_p{one}", f"p{one}") for one in (50, 95, 99)]
    waits = [measured_only(f"queue_p{one}", f"p{one}") for one in (50, 95)]
    return [
        time_chart("Requests a second", [silent("requests_per_second", "requests")], begin, end),
        time_chart("Latency", latencies, begin, end, seconds_text),
        time_chart("Errors", [silent("errors_5xx", "5xx"), silent("errors_4xx", "4xx")], begin, end),
        time_chart("Waiting time", waits, begin, end, seconds_text),
        time_chart("In flight and queued", [silent("in_flight", "in flight"), silent("queued", "queued")], begin, end),
        time_chart("Replicas", [measured_only("replicas", "replicas", stepped=True)], begin, end),
    ]


def roll_back(client: Client, visit: Visit) -> None:
    client.rollback(visit.names["name"], visit.typed_number("to", "a version") if visit.typed("to") else None)


def promote(client: Client, visit: Visit) -> None:
    client.promote_endpoint(visit.names["name"], step=bool(visit.typed("step")))


def show_webhook_secret(client: Client, visit: Visit) -> Answer:
    return {"webhook_secret": client.webhook_secret(visit.names["name"])}


def pages_at(place: str, list_template: str, listed: Content) -> tuple[Page, ...]:
    """The pages of what serves at `place`: the list, one, its log. What a button did is seen on the same page."""

    def staying(do: Callable[[Client, Visit], object]) -> Action:
        def act(client: Client, visit: Visit) -> Answer:
            do(client, visit)
            return f"{place}/{quote(visit.names['name'], safe='')}"

        return act

    def delete(client: Client, visit: Visit) -> Answer:
        visit.confirm(visit.names["name"])
        client.delete_endpoint(visit.names["name"], wait=False)
        return place

    actions = {
        "rollback": staying(roll_back),
        "refresh": staying(lambda client, visit: client.refresh(visit.names["name"])),
        "pause": staying(lambda client, visit: client.pause(visit.names["name"])),
        "resume": staying(lambda client, visit: client.resume(visit.names["name"])),
        "promote": staying(promote),
        "redrive": staying(lambda client, visit: client.redrive_invocations(visit.names["name"])),
        "cancel": staying(lambda client, visit: client.cancel_invocation(visit.names["name"], visit.typed("id"))),
        "webhook-secret": show_webhook_secret,
        "delete": delete,
    }
    return (
        Page(place, list_template, listed),
        Page(f"{place}/{{name}}", "endpoint.html", endpoint_page, actions),
        Page(f"{place}/{{name}}/logs", "logs.html", log_page),
    )


PAGES = pages_at("/endpoints", "endpoints.html", endpoint_list)
