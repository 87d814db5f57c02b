"""Tunings: tunings, and what `train` and `stop` do with one."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, remark, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending, waiting
from modelyard.cli.session import open_client
from modelyard.cli.times import age, between

if TYPE_CHECKING:
    from modelyard.manifest.tunings import TuningResource
    from modelyard.manifest.yard_file import YardFile
    from modelyard.protocol.views_of_tunings import TrialView, TuningView
    from modelyard.sdk.client import Client

COMPLETED = "Completed"
TRIALS_SHOWN_MAX = 20


def tune(
    client: "Client",
    tuning: "TuningResource",
    file: "YardFile",
    project: str | None,
    output: Format,
    *,
    detach: bool,
) -> None:
    """Starts a tuning and, unless detached, waits for its end."""
    with sending() as progress:
        view = client.start_tuning(tuning, file, project=project, progress=progress)
    remark(f"started {view.id}")
    if detach:
        say_json(view) if output is Format.JSON else say(f"`modelyard tunings {view.id}` shows it")
        return
    with waiting() as shown:
        view = client.wait_tuning(view.id, progress=lambda seen: shown.show(_progress(seen)))
    _say(view, output)
    if view.status != COMPLETED:
        raise typer.Exit(1)


def stop_tuning(client: "Client", tuning: str, output: Format, *, wait: bool) -> None:
    view = client.stop_tuning(tuning)
    if wait:
        with waiting() as shown:
            view = client.wait_tuning(tuning, progress=lambda seen: shown.show(_progress(seen)))
    say_json(view) if output is Format.JSON else say(f"{tuning}: {view.status}")


def tunings(
    name: Annotated[str | None, typer.Argument(help="Tuning resource, or one tuning.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    output: Output = Format.PRETTY,
) -> None:
    """List tunings, newest first, or show one with its trials, the best first."""
    with open_client() as client:
        found = client.tunings(name.removeprefix("tuning/") if name else None, limit)
        if name and not found:
            _kind, tuning = client.resolve(name, ("tuning",))
            _say(client.tuning(tuning), output)
            return
    if output is Format.JSON:
        say_json({"tunings": found})
    elif not found:
        say("no tunings yet; `modelyard train NAME` starts one of the yard file")
    else:
        say_table(("tuning", "status", "trials", "best", "took", "started"), [_row(one) for one in found])


def _row(tuning: "TuningView") -> tuple[str | None, ...]:
    best = tuning.best
    return (
        tuning.id,
        tuning.status,
        f"{sum(tuning.counts.values())}/{tuning.max_trials}",
        f"{tuning.metric}={best.value:.6g}" if best and best.value is not None else None,
        between(tuning.created_at, tuning.ended_at),
        age(tuning.created_at),
    )


def _progress(tuning: "TuningView") -> str:
    counts, best = tuning.counts, tuning.best
    done = sum(counts.values()) - counts["in_progress"]
    words = f"{tuning.id}: {tuning.status}, {done} of {tuning.max_trials} trials"
    return f"{words}, best {tuning.metric} {best.value:.6g}" if best and best.value is not None else words


def _say(tuning: "TuningView", output: Format) -> None:
    if output is Format.JSON:
        say_json(tuning)
        return
    for line in tuning_lines(tuning):
        say(line)


def tuning_lines(tuning: "TuningView") -> list[str]:
    """Everything about a tuning: how it stands, its trials with the best first, what came of it."""
    lines = [f"{tuning.id}: {tuning.status} after {between(tuning.created_at, tuning.ended_at)}"]
    if tuning.reason:
        lines.append(f"reason: {tuning.reason}")
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in tuning.counts.items() if count)
    lines.append(f"trials: {counts or 'none'} of {tuning.max_trials}")
    trials = sorted(tuning.trials, key=lambda one: _place(tuning, one))
    if trials:
        tuned = list(trials[0].hyperparameters)
        rows = [(one.run, one.status, _value(one), *one.hyperparameters.values()) for one in trials]
        lines += ["", *table_lines(("trial", "status", tuning.metric, *tuned), rows[:TRIALS_SHOWN_MAX])]
        if len(rows) > TRIALS_SHOWN_MAX:
            lines.append(f"and {len(rows) - TRIALS_SHOWN_MAX} more; `-o json` has all")
    if tuning.model and tuning.model_version:
        lines += ["", f"registered {tuning.model}:{tuning.model_version}"]
    return lines


def _place(tuning: "TuningView", trial: "TrialView") -> tuple[bool, float]:
    if trial.value is None or trial.status != COMPLETED:
        return True, 0.0
    return False, trial.value if tuning.minimize else -trial.value


def _value(trial: "TrialView") -> str | None:
    return None if trial.value is None else f"{trial.value:.6g}"


def add_to(app: typer.Typer) -> None:
    app.command()(tunings)
