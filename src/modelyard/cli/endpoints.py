"""Endpoints: deploy, get, predict, logs, delete. Outputs are Cortex's where Cortex has them (cortex.md 6.5, 6.6)."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.models import model_lines
from modelyard.cli.output import Format, Output, remark, say, say_json, table_lines
from modelyard.cli.progress import sending, waiting
from modelyard.cli.resources import place_lines, resource_lines, resource_table
from modelyard.cli.runs import run_lines
from modelyard.cli.schedules import schedule_lines
from modelyard.cli.session import open_client
from modelyard.cli.splitters import splitter_lines
from modelyard.cli.times import age, left
from modelyard.cli.watching import watch
from modelyard.domain.names import RESOURCE_KINDS
from modelyard.domain.splitters import KIND as SPLITTER
from modelyard.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from modelyard.protocol.views_of_endpoints import EndpointView, VersionView
    from modelyard.sdk.client import Client
    from modelyard.sdk.views import OutcomeView, ResourceView

_CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
RUNNING_KINDS = ("endpoint", "function", "app")
"""What has versions and replicas."""

SAMPLE_LENGTH_MAX = 60
"""Characters of each text of a shadow's difference; `-o json` has more."""

Project = Annotated[str | None, typer.Option(help="Project; by default the name of the folder.")]


Limit = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, help="Seconds to wait at most; by default 300, an environment's build not counted."
    ),
]


def deploy(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Yard file, project folder, or model file.")
    ] = None,
    project: Project = None,
    name: Annotated[str | None, typer.Option(help="Name of the endpoint, for a model file.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what this file wished before and does not any more.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every endpoint serves or cannot.")] = True,
    timeout: Limit = None,
    output: Output = Format.PRETTY,
) -> None:
    """Put everything of a yard file live, or a model's file without any."""
    pretty = output is Format.PRETTY
    with open_client() as client:
        with sending() as progress:
            deployment = client.deploy(file, project=project, name=name, prune=prune, progress=progress)
        for note in deployment.notes:
            remark(note)
        for outcome in deployment.outcomes if pretty else []:
            say(outcome["sentence"])
        running = [one for one in deployment.outcomes if one["kind"] in RUNNING_KINDS]
        expected = [one for one in running if one["change"] != "deleting"]
        settled = [_wait_settled(client, outcome, timeout) for outcome in expected] if wait else []
        places = [line for outcome in deployment.outcomes for line in _where(client, outcome)] if pretty else []
    if pretty:
        for view, _serves in settled:
            say()
            _say_live(client.url, view)
        for line in places:
            say(line)
    else:
        endpoints = [view for view, _serves in settled]
        say_json({"project": deployment.project, "outcomes": deployment.outcomes, "endpoints": endpoints})
    if not all(serves for _view, serves in settled):
        raise typer.Exit(1)


def _wait_settled(
    client: "Client", outcome: "OutcomeView", limit_seconds: float | None = None
) -> "tuple[EndpointView, bool]":
    """What an endpoint came to, and whether the version that was wished serves, or waits for a word as it should."""
    from modelyard.sdk.waiting import (  # noqa: PLC0415 (start-up time of the other commands)
        endpoint_serves,
        rollout_waits,
    )

    name, version = outcome["name"], outcome["version"]
    with waiting() as shown:
        view = client.wait_endpoint(
            name,
            version,
            limit_seconds=limit_seconds,
            progress=lambda seen: shown.show(f"{name}: {seen.state}, {seen.sentence}"),
        )
    return view, endpoint_serves(view, version) or rollout_waits(view)


def _say_live(url: str, view: "EndpointView") -> None:
    live = view.state == "live"
    say(f"{view.name} is live: {view.sentence}" if live else f"{view.name}: {view.state}: {view.sentence}")
    if view.kind == "app":
        if live:
            say(f"open {view.url}")
        for note in view.notes:
            say(note)
    elif view.ready:
        say(f"{view.kind}: {_place(url, view)}")
        say(_curl(url, view))


def _where(client: "Client", outcome: "OutcomeView") -> list[str]:
    """Where a site, a gateway or a splitter is that was deployed."""
    kind, name = outcome["kind"], outcome["name"]
    if kind not in RESOURCE_KINDS or outcome["change"] == "deleting":
        return []
    lines = place_lines(client.url, client.resource(kind, name))
    return ["", f"{name} is deployed", *lines] if lines else []


def _place(url: str, view: "EndpointView") -> str:
    """Where it is asked."""
    if view.kind != "endpoint":
        return view.url
    return f"{url}/endpoints/{view.name}/{'async-' if view.is_queued else ''}invocations"


def _curl(url: str, view: "EndpointView") -> str:
    from modelyard.sdk.snippets import curl_words  # noqa: PLC0415 (start-up time of the other commands)

    return " ".join(curl_words(url, _place(url, view), view))


def get(
    name: Annotated[str | None, typer.Argument(help="NAME or KIND/NAME; nothing lists what is deployed.")] = None,
    watch_it: Annotated[bool, typer.Option("-w", "--watch", help="Again every 2 seconds.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Show what is deployed, or everything about one thing."""
    with open_client() as client:
        if output is Format.JSON:
            say_json(_get_document(client, name))
        elif watch_it:
            watch(lambda: _get_lines(client, name))
        else:
            for line in _get_lines(client, name):
                say(line)


def _get_document(client: "Client", name: str | None) -> Any:
    if name is None:
        return {"endpoints": client.endpoints(), "resources": client.resources()}
    kind, found = _find(client, name)
    if kind in RESOURCE_KINDS:
        return client.resource(kind, found)
    if kind == "model":
        return {"name": found, "versions": client.model(found)}
    return client.endpoint(found) if kind == "endpoint" else client.run(found)


def _get_lines(client: "Client", name: str | None) -> list[str]:
    if name is None:
        return _all_lines(client)
    kind, found = _find(client, name)
    if kind == SPLITTER:
        return splitter_lines(client.url, client.resource(kind, found), client.endpoints())
    if kind in RESOURCE_KINDS:
        return [*resource_lines(client.url, client.resource(kind, found)), *_schedule_lines(client, kind, found)]
    if kind == "model":
        return model_lines(client.model(found))
    return endpoint_lines(client.url, client.endpoint(found)) if kind == "endpoint" else run_lines(client.run(found))


def _schedule_lines(client: "Client", kind: str, name: str) -> list[str]:
    mine = [one for one in client.schedules() if (one.kind, one.name) == (kind, name)]
    return ["", *schedule_lines(mine[0])] if mine else []


def _all_lines(client: "Client") -> list[str]:
    endpoints, resources = client.endpoints(), client.resources()
    lines = endpoint_table(endpoints) if endpoints else []
    if resources:
        lines += [*([""] if lines else []), *resource_table(resources)]
    return lines or ["nothing yet; `modelyard deploy` puts something live"]


def _find(client: "Client", name: str) -> tuple[str, str]:
    """Models have a verb of their own and often the name of their endpoint, so here they want their kind before it."""
    models = ("model",) if "/" in name else ()
    return client.resolve(name, ("endpoint", "run", *models, *RESOURCE_KINDS))


def endpoint_table(endpoints: "list[EndpointView]") -> list[str]:
    """Endpoints, functions, apps, each kind under its own heading."""
    lines: list[str] = []
    for kind in RUNNING_KINDS:
        those = [one for one in endpoints if one.kind == kind]
        if those:
            lines += [*([""] if lines else []), *_table_of(kind, those)]
    return lines


def _table_of(kind: str, endpoints: "list[EndpointView]") -> list[str]:
    rows = [
        (
            one.name,
            one.state,
            f"{one.ready}/{one.requested}",
            one.up_to_date,
            age(one.updated_at),
            age(one.last_request_at) if one.last_request_at else "never",
        )
        for one in endpoints
    ]
    return table_lines((kind, "status", "ready/requested", "up-to-date", "last update", "last request"), rows)


def endpoint_lines(url: str, view: "EndpointView") -> list[str]:
    lines = [*endpoint_table([view]), "", view.sentence, *view.notes, ""]
    if view.rollout is not None or view.shadow is not None:
        lines += [*_rollout_lines(view), ""]
    lines += [f"project: {view.project}", f"model: {_model(view)}"]
    if view.expires_at:
        lines.append(f"ttl: deleted in {left(view.expires_at)} unless it is asked before")
    if view.kind == "app":
        lines.append(f"app: {view.url}")
    else:
        lines += [f"{view.kind}: {_place(url, view)}", _curl(url, view)]
    replicas = [(one.id, one.version, one.state, one.pid, age(one.started_at), one.reason) for one in view.replicas]
    if replicas:
        lines += ["", *table_lines(("replica", "version", "state", "pid", "age", "reason"), replicas)]
    versions = sorted(view.versions, key=lambda one: one.number, reverse=True)
    return [*lines, "", *version_table(versions, view.serving_version)]


def _rollout_lines(view: "EndpointView") -> list[str]:
    """The version on its way, what can be done about it, and what its shadow showed."""
    rollout, shadow, lines = view.rollout, view.shadow, list[str]()
    if rollout is not None:
        left = rollout.seconds_left
        lines.append(
            f"rollout: version {rollout.version}, {rollout.type}, step {rollout.step} of {rollout.steps},"
            f" {rollout.percent:g} % of the requests"
            + (", paused" if rollout.paused else f", {left:.0f} s left" if left is not None else "")
        )
        verbs = ("promote", "resume" if rollout.paused else "pause", "rollback")
        lines.append("  " + ", ".join(f"`modelyard {verb} {view.name}`" for verb in verbs))
    if shadow is not None:
        lines.append(
            f"shadow: {shadow['copied']} copies, {shadow['compared']} compared, {shadow['different']} different,"
            f" {shadow['failed']} failed, {shadow['dropped']} dropped"
        )
        rows = [(one["request_id"], one["body"], one["given"], one["shadow"]) for one in shadow["samples"]]
        if rows:
            cut = [tuple(text[:SAMPLE_LENGTH_MAX] for text in row) for row in rows]
            lines += table_lines(("request", "body", "answer", "shadow's answer"), cut)
    return lines


def history(
    name: Annotated[str, typer.Argument(help="Endpoint.")],
    output: Output = Format.PRETTY,
) -> None:
    """Show an endpoint's versions, newest first, and how each came about."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        view = client.history(found)
    if output is Format.JSON:
        say_json(view)
        return
    for line in version_table(view.versions, view.serving_version):
        say(line)
    if view.rollback_version:
        say()
        say(f"`modelyard rollback {view.name}` goes back to version {view.rollback_version}")


def version_table(versions: "list[VersionView]", serving: int | None) -> list[str]:
    """Newest first, as they come. Of a reason, the first line."""
    rows = [
        (
            one.number,
            "serving" if one.number == serving else one.state,
            _model(one),
            age(one.created_at),
            _cause(one),
            one.by,
            one.reason,
        )
        for one in versions
    ]
    return table_lines(("version", "state", "model", "when", "cause", "by", "reason"), rows)


def _model(view: "EndpointView | VersionView") -> str:
    """`price:3`, and how the deploy named it where that was by an alias: `price:3 (price@champion)`."""
    model, asked = view.model or "-", view.model_asked
    return f"{model} ({asked})" if asked and "@" in asked else model


def _cause(version: "VersionView") -> str:
    """`deploy`, `rollback to 2`, `refresh of 3`."""
    words = {"rollback": "rollback to", "refresh": "refresh of"}
    return f"{words[version.cause]} {version.source}" if version.cause in words else version.cause


Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it serves or cannot.")]


def rollback(
    name: Annotated[str, typer.Argument(help="Endpoint, app or site.")],
    to: Annotated[int | None, typer.Option(min=1, help="Version; by default the newest other that was ready.")] = None,
    wait: Wait = True,
    timeout: Limit = None,
    output: Output = Format.PRETTY,
) -> None:
    """Go back to an earlier version of an endpoint, an app or a site; its number counts on."""
    with open_client() as client:
        kind, found = client.resolve(name, ("endpoint", "site"))
        if kind == "site":
            view = client.rollback_resource(kind, found, to)
            sentence = f"rolled back {found} (site), version {view['version']}"
            say_json(view) if output is Format.JSON else say(sentence)
            return
        tell_outcome(client, client.rollback(found, to), wait, output, timeout)


def refresh(
    name: Annotated[str, typer.Argument(help="Endpoint.")],
    wait: Wait = True,
    timeout: Limit = None,
    output: Output = Format.PRETTY,
) -> None:
    """Replace every replica of an endpoint by a new one, without a gap."""
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint",))
        tell_outcome(client, client.refresh(found), wait, output, timeout)


def tell_outcome(
    client: "Client", outcome: "OutcomeView", wait: bool, output: Format, timeout: float | None = None
) -> None:
    """What was wished and, after a wait, what came of it. Exits with 1 where it does not serve."""
    if output is Format.PRETTY:
        say(outcome["sentence"])
    view, serves = _wait_settled(client, outcome, timeout) if wait else (None, True)
    if output is Format.JSON:
        say_json({"outcome": outcome, "endpoint": view})
    elif view is not None:
        say()
        _say_live(client.url, view)
    if not serves:
        raise typer.Exit(1)


def predict(
    name: Annotated[str, typer.Argument(help="Endpoint.")],
    data: Annotated[str, typer.Argument(help="JSON or CSV text, @FILE, or - for standard input.")] = "-",
    content_type: Annotated[str | None, typer.Option("--content-type", "-t", help="What the data is.")] = None,
    accept: Annotated[str | None, typer.Option(help="What the answer should be.")] = None,
    variant: Annotated[str | None, typer.Option(help="Who of several is to answer.")] = None,
    model: Annotated[str | None, typer.Option(help="One of an endpoint's many models: NAME or NAME/VERSION.")] = None,
    queued: Annotated[bool, typer.Option("--async", help="Queue it, and say its id.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Ask an endpoint for a prediction."""
    if data.startswith("--"):
        raise typer.BadParameter(f"no such option: {data}")
    body, sent_type = _read_data(data, content_type)
    with open_client() as client:
        _kind, found = client.resolve(name, ("endpoint", SPLITTER))
        if queued:
            accepted = client.predict_async(found, body, content_type=sent_type, model=model)
            say_json(accepted) if output is Format.JSON else say(accepted["id"])
            return
        answer = client.predict(found, body, content_type=sent_type, accept=accept, variant=variant, model=model)
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
    elif isinstance(answer, str) and output is Format.PRETTY:
        say(answer.rstrip("\n"))
    elif output is Format.JSON:
        say_json(answer)
    else:
        say(_one_line(answer))


def _read_data(data: str, content_type: str | None) -> tuple[bytes, str]:
    """The bytes to send and what they are: as said, as the file's name says, else JSON where it is, else CSV."""
    if data.startswith("@"):
        place = Path(data[1:]).expanduser()
        try:
            body = place.read_bytes()
        except OSError as error:
            raise InvalidValue(f"cannot read {place}: {error.strerror}") from error
        known = _CONTENT_TYPES.get(place.suffix.lower(), "application/octet-stream")
        return body, content_type or known
    if data == "-" and sys.stdin.isatty():
        raise InvalidValue("cannot predict without data", "give it as an argument, as @FILE, or on standard input")
    body = sys.stdin.buffer.read() if data == "-" else data.encode()
    return body, content_type or _guess(body)


def _guess(body: bytes) -> str:
    try:
        json.loads(body)
    except ValueError:
        return "text/csv"
    return "application/json"


def _one_line(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False)


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def logs(
    name: Annotated[str, typer.Argument(help="Endpoint, run, transform, or training (its newest run).")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is printed from now on.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 100,
    replica: Annotated[str | None, typer.Option(help="One replica's alone.")] = None,
    level: Annotated[Level | None, typer.Option(case_sensitive=False, help="At least so grave.")] = None,
    since: Annotated[str | None, typer.Option(help="How long ago (10m, 2h), or a time (2026-01-31T12:00:00Z).")] = None,
    request: Annotated[str | None, typer.Option(help="One request's alone, by its x-request-id.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Show what an endpoint's replicas, a run, or a transform have printed."""
    chosen = {"replica": replica, "level": level.value if level else None, "since": since, "request": request}
    as_json = output is Format.JSON
    with open_client() as client:
        kind, found = _find_printing(client, name)
        if kind == "endpoint":
            silent = True
            for line in client.endpoint_logs(found, lines=lines, follow=follow, as_json=as_json, **chosen):
                say(line)
                silent = False
            if silent and not any(chosen.values()):
                view = client.endpoint(found)
                remark(f"{found} has printed nothing; {view.state}: {view.sentence}")
            return
        if any(chosen.values()):
            given = ", ".join(f"--{option}" for option, value in chosen.items() if value)
            raise InvalidValue(
                f"cannot choose lines of {kind} {found} by {given}",
                f"a {kind} has one process, whose lines have no stamps",
            )
        show = client.run_logs if kind == "run" else client.transform_logs
        for line in show(found, lines=lines, follow=follow):
            say(json.dumps({"line": line})) if as_json else say(line)


def _find_printing(client: "Client", name: str) -> tuple[str, str]:
    try:
        return client.resolve(name.removeprefix("training/"), ("endpoint", "run", "transform"))
    except NotFound:
        newest = client.runs(training=name.removeprefix("training/"), limit=1)
        if not newest:
            raise
        return "run", newest[0]["id"]


def delete(
    name: Annotated[str, typer.Argument(help="NAME or KIND/NAME; of a model also model/NAME:VERSION.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the last replica is gone.")] = True,
    output: Output = Format.PRETTY,
) -> None:
    """Delete an endpoint, a model, one version of a model, or a resource of another kind."""
    bare, _colon, version = name.partition(":")
    if version and not version.isdigit():
        raise InvalidValue(f"cannot read {name!r}", "write model/NAME:VERSION")
    with open_client() as client:
        kind, found = client.resolve(bare, ("model",) if version else ("endpoint", "model", *RESOURCE_KINDS))
        if kind in RESOURCE_KINDS:
            removed = client.delete_resource(kind, found)
            sentence = f"deleted {found} ({kind}){_with_it(removed)}"
        elif kind == "endpoint":
            said = client.endpoint(found).kind
            with waiting() as shown:
                client.delete_endpoint(found, wait=wait, progress=lambda view: shown.show(f"{found}: {view.sentence}"))
            sentence = f"deleted {found} ({said})" if wait else f"deleting {found} ({said})"
        else:
            count = client.delete_model(found, int(version) if version else None)
            versions = f"{count} version{'' if count == 1 else 's'}"
            sentence = f"deleted {found}:{version} (model)" if version else f"deleted {found} (model), {versions}"
    say_json({"kind": kind, "name": found, "sentence": sentence}) if output is Format.JSON else say(sentence)


def _with_it(removed: "ResourceView") -> str:
    gone = [str(one["endpoint"]) for one in removed["spec"].get("members", ()) if one.get("owned")]
    return f", and with it {', '.join(gone)}" if gone else ""


def add_to(app: typer.Typer) -> None:
    app.command()(deploy)
    app.command()(get)
    # A row of numbers may begin with a minus, which must not be taken for an option.
    app.command(context_settings={"ignore_unknown_options": True})(predict)
    for command in (logs, history, rollback, refresh, delete):
        app.command()(command)
