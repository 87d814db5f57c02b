"""Training runs: train, runs, stop; what `compare` does with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from modelyard.cli.output import Format, Output, remark, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending, waiting
from modelyard.cli.session import open_client
from modelyard.cli.times import age, between
from modelyard.cli.tunings import stop_tuning, tune
from modelyard.domain.run_queries import (
    Condition,
    Field,
    differing,
    parse_field,
    parse_filter,
    select_runs,
    telling_metrics,
)
from modelyard.errors import Unavailable

if TYPE_CHECKING:
    from modelyard.sdk.client import Client
    from modelyard.sdk.views import RunView

COMPLETED = "Completed"
RUNS_SEARCHED_MAX = 1000
METRICS_SHOWN_MAX = 3
"""Columns of metrics in a list, where nobody asked for some."""

"""How many of the newest runs a filter or an order looks at."""

STEP_OF_END = frozenset({"Completed", "Failed", "Stopped", "Lost", "MaxRuntimeExceeded"})


def train(
    name: Annotated[str | None, typer.Argument(help="Training; may be left out where the file has only one.")] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Yard file; by default the present folder's.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Project; by default the name of the folder.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a hyperparameter; NAME=VALUE,VALUE starts a run for each."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when the run is accepted.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Run a training, follow what it prints, and say how it ended; or a tuning, and show its trials."""
    from modelyard.sdk.trainings import choose_started, variants  # noqa: PLC0415 (help needs no sdk)

    with open_client() as client:
        read = client.read_file(file)
        chosen = choose_started(read, name)
        if chosen.kind == "tuning":
            tune(client, chosen, read, project, output, detach=detach)
            return
        several = variants(chosen, set_ or ())
        with sending() as progress:
            started = [
                client.start_training(one, read.folder, project=project, yard_file=read.path, progress=progress)
                for one in several
            ]
        if len(started) > 1:
            _say_several(client, started, output, detach=detach)
            return
        run = started[0]
        remark(f"started {run['id']}")
        if not detach:
            run = _follow(client, run["id"], output)
    if output is Format.JSON:
        say_json(run)
    elif detach:
        say(f"`modelyard logs {run['id']} -f` follows it, `modelyard stop {run['id']}` stops it")
    else:
        _say_end(run)
    if not detach and run["status"] != COMPLETED:
        raise typer.Exit(1)


def _say_several(client: "Client", started: "list[RunView]", output: Format, *, detach: bool) -> None:
    """Waits for all, and shows them side by side by what differs."""
    if not detach:
        with waiting() as shown:
            started = [
                client.wait_run(one["id"], progress=lambda view: shown.show(f"{view['id']}: {view['step']}"))
                for one in started
            ]
    if output is Format.JSON:
        say_json({"runs": started})
    else:
        first = started[0]["hyperparameters"]
        names = [one for one in first if any(run["hyperparameters"][one] != first[one] for run in started)]
        metrics = sorted({name for run in started for name in run["metrics"]})
        rows = [
            (
                run["id"],
                run["status"],
                *(run["hyperparameters"][name] for name in names),
                *(f"{run['metrics'][name]:.6g}" if name in run["metrics"] else None for name in metrics),
            )
            for run in started
        ]
        say_table(("run", "status", *names, *metrics), rows)
    if not detach and any(run["status"] != COMPLETED for run in started):
        raise typer.Exit(1)


def _follow(client: "Client", run: str, output: Format) -> "RunView":
    show = remark if output is Format.JSON else say
    try:
        for line in client.run_logs(run, follow=True):
            show(line)
    except Unavailable:
        # The yard's own process may be restarting; the run goes on, and its end is told below.
        remark(f"cannot follow the log of {run} any more; `modelyard logs {run}` shows all of it")
    except KeyboardInterrupt:
        remark(f"\n{run} goes on; `modelyard stop {run}` stops it")
        raise
    with waiting() as shown:
        return client.wait_run(run, progress=lambda view: shown.show(f"{run}: {view['step']}"))


def _say_end(run: "RunView") -> None:
    say()
    for line in run_lines(run):
        say(line)


def run_lines(run: "RunView") -> list[str]:
    """Everything about a run: how it stands, its steps with their times, what came of it."""
    lines = [f"{run['id']}: {run['status']} after {between(run['created_at'], run['ended_at'])}"]
    if run["waiting"]:
        lines.append(f"waits: {run['waiting']}")
    if run["attempt"] > 1:
        lines.append(f"attempt {run['attempt']} of {run['retry_count'] + 1}")
    if run["failure_reason"]:
        lines.append(f"reason: {run['failure_reason']}")
    lines += ["", *table_lines(("step", "began", "took"), _step_rows(run))]
    if run["metrics"]:
        lines += [
            "",
            *table_lines(("metric", "last"), [(name, f"{last:.6g}") for name, last in run["metrics"].items()]),
        ]
    if run["model"] and run["model_version"]:
        lines += ["", f"registered {run['model']}:{run['model_version']}"]
    return lines


def origin_lines(run: "RunView") -> list[str]:
    """What made a run what it is: its code, what it read, its hyperparameters."""
    rows = [("algorithm", run["algorithm"]), ("entry", run["entry"])]
    rows += [("code", run["code"] and run["code"][:12]), ("commit", run["git_commit"])]
    for channel, digest in run["inputs"].items():
        source = run["sources"].get(channel)
        rows.append((f"input {channel}", f"{digest[:12]} from {source}" if source else digest[:12]))
    rows += [(f"hyperparameter {name}", value) for name, value in run["hyperparameters"].items()]
    return ["", *table_lines(("made of", ""), [row for row in rows if row[1]])]


def _step_rows(run: "RunView") -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for index, (step, began) in enumerate(run["steps"]):
        following = run["steps"][index + 1][1] if index + 1 < len(run["steps"]) else None
        took = "" if step in STEP_OF_END else between(began, following or run["ended_at"])
        rows.append((step, began, took))
    return rows


def runs(
    name: Annotated[str | None, typer.Argument(help="Training, or one run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    only: Annotated[
        str | None, typer.Option("--filter", help="Such as: metrics.rmse < 3 and params.eta = 0.1.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="metrics.NAME, params.NAME or an attribute; -FIELD descends.")
    ] = None,
    output: Output = Format.PRETTY,
) -> None:
    """List runs, newest first, or show one."""
    conditions = parse_filter(only) if only is not None else []
    order = parse_field(sort.removeprefix("-")) if sort else None
    asked = RUNS_SEARCHED_MAX if conditions or order else limit
    with open_client() as client:
        found = client.runs(training=name.removeprefix("training/") if name else None, limit=asked)
        if name and not found:
            _kind, run = client.resolve(name, ("run",))
            view = client.run(run)
            if output is Format.JSON:
                say_json(view)
            else:
                for line in (*run_lines(view), *origin_lines(view)):
                    say(line)
            return
    chosen = cast(
        "list[RunView]", select_runs(found, conditions, order, descending=(sort or "").startswith("-"))[:limit]
    )
    if output is Format.JSON:
        say_json({"runs": chosen})
    elif not chosen:
        say("no such runs" if found else "no runs yet; `modelyard train` starts one")
    else:
        fields = _shown_fields(conditions, order) or telling_metrics(chosen, METRICS_SHOWN_MAX)
        heads = ("run", "status", "step", "model", "took", "started", *(str(one) for one in fields))
        say_table(heads, [(*_row(run), *(_shown(one.of(run)) for one in fields)) for run in chosen])


def _shown_fields(conditions: "list[Condition]", order: "Field | None") -> "list[Field]":
    """Columns for what was asked about: metrics and parameters, once each."""
    asked = [condition.field for condition in conditions] + ([order] if order is not None else [])
    return list(dict.fromkeys(one for one in asked if one.kind))


def _shown(value: Any) -> str | None:
    return f"{value:.6g}" if isinstance(value, float) else None if value is None else str(value)


def compare_runs(client: "Client", names: Sequence[str], output: Format, *, everything: bool) -> None:
    """Runs side by side: parameters, metrics, what they read, and their code."""
    found = [client.run(name) for name in names]
    sections = {
        "parameter": differing([run["hyperparameters"] for run in found]),
        "metric": differing([run["metrics"] for run in found]),
        "input": differing([{name: digest[:12] for name, digest in run["inputs"].items()} for run in found]),
        "made of": differing([_code_of(run) for run in found]),
    }
    if output is Format.JSON:
        say_json({"runs": found, "differing": {kind: _differing(rows) for kind, rows in sections.items()}})
        return
    for kind, rows in sections.items():
        shown = [
            (name, *(_shown(value) for value in values)) for name, values, differs in rows if differs or everything
        ]
        if shown:
            for line in table_lines((kind, *(run["id"] for run in found)), shown):
                say(line)
            say()
    same = sum(not differs for rows in sections.values() for _, _, differs in rows)
    if same and not everything:
        say(f"{same} more are the same in all of them; --all shows them")


def _code_of(run: "RunView") -> dict[str, str]:
    made_of = {"algorithm": run["algorithm"], "entry": run["entry"], "commit": run["git_commit"]}
    made_of["code"] = run["code"] and run["code"][:12]
    return {name: value for name, value in made_of.items() if value}


def _differing(rows: list[tuple[str, list[Any], bool]]) -> list[str]:
    return [name for name, _, differs in rows if differs]


def _row(run: "RunView") -> tuple[str | None, ...]:
    model = f"{run['model']}:{run['model_version']}" if run["model"] and run["model_version"] else None
    return (
        run["id"],
        run["status"],
        run["step"],
        model,
        between(run["created_at"], run["ended_at"]),
        age(run["created_at"]),
    )


def stop(
    name: Annotated[str, typer.Argument(help="Run, or transform.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    output: Output = Format.PRETTY,
) -> None:
    """Stop a run or a transform: it is asked to end, and ended after its grace."""
    with open_client() as client, waiting() as shown:

        def show(status: str) -> None:
            shown.show(f"{found}: {status}")

        kind, found = client.resolve(name, ("run", "transform", "tuning"))
        if kind == "tuning":
            stop_tuning(client, found, output, wait=wait)
            return
        if kind == "run":
            view = client.stop_run(found)
            view = client.wait_run(found, progress=lambda seen: show(seen["status"])) if wait else view
            status = view["status"]
        else:
            view = client.stop_transform(found)
            view = client.wait_transform(found, progress=lambda seen: show(seen.status)) if wait else view
            status = view.status
    say_json(view) if output is Format.JSON else say(f"{found}: {status}")


def add_to(app: typer.Typer) -> None:
    for command in (train, runs, stop):
        app.command()(command)
