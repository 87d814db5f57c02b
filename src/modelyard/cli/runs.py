"""Training runs: train, runs, stop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, remark, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending, waiting
from modelyard.cli.session import open_client
from modelyard.cli.times import age, between
from modelyard.errors import Unavailable

if TYPE_CHECKING:
    from modelyard.sdk.client import Client
    from modelyard.sdk.views import RunView, TransformView

COMPLETED = "Completed"
STEP_OF_END = frozenset({"Completed", "Failed", "Stopped", "Lost", "MaxRuntimeExceeded"})


def train(
    name: Annotated[str | None, typer.Argument(help="Training; may be left out where the file has only one.")] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Yard file; by default the present folder's.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Project; by default the name of the folder.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when the run is accepted.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Run a training, follow what it prints, and say how it ended."""
    with open_client() as client:
        with sending() as progress:
            run = client.train_file(file, name, project=project, progress=progress)
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
    output: Output = Format.PRETTY,
) -> None:
    """List runs, newest first, or show one."""
    with open_client() as client:
        found = client.runs(training=name.removeprefix("training/") if name else None, limit=limit)
        if name and not found:
            _kind, run = client.resolve(name, ("run",))
            view = client.run(run)
            if output is Format.JSON:
                say_json(view)
            else:
                for line in run_lines(view):
                    say(line)
            return
    if output is Format.JSON:
        say_json({"runs": found})
    elif not found:
        say("no runs yet; `modelyard train` starts one")
    else:
        say_table(("run", "status", "step", "model", "took", "started"), [_row(run) for run in found])


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

        def show(seen: "RunView | TransformView") -> None:
            shown.show(f"{found}: {seen['status']}")

        kind, found = client.resolve(name, ("run", "transform"))
        view: RunView | TransformView
        if kind == "run":
            view = client.stop_run(found)
            view = client.wait_run(found, progress=show) if wait else view
        else:
            view = client.stop_transform(found)
            view = client.wait_transform(found, progress=show) if wait else view
    say_json(view) if output is Format.JSON else say(f"{found}: {view['status']}")


def add_to(app: typer.Typer) -> None:
    for command in (train, runs, stop):
        app.command()(command)
