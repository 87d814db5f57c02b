"""Models: models, register."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending
from modelyard.cli.session import open_client
from modelyard.cli.times import age, size

if TYPE_CHECKING:
    from modelyard.sdk.views import ModelView


def models(
    name: Annotated[str | None, typer.Argument(help="Model; nothing lists all.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """List models, or the versions of one with where each came from."""
    with open_client() as client:
        if name is None:
            found = client.models()
        else:
            _kind, name = client.resolve(name, ("model",))
            found = client.model(name)
    if output is Format.JSON:
        say_json({"models": found} if name is None else {"name": name, "versions": found})
    elif name is not None:
        for line in model_lines(found):
            say(line)
    elif not found:
        say("no models yet; `modelyard train` or `modelyard register` adds one")
    else:
        rows = [
            (one["model"], one["version"], one["framework"], size(one["size_bytes"]), age(one["created_at"]))
            for one in found
        ]
        say_table(("model", "newest", "framework", "size", "registered"), rows)


def model_lines(versions: "list[ModelView]") -> list[str]:
    rows = [
        (
            one["reference"],
            one["framework"],
            size(one["size_bytes"]),
            age(one["created_at"]),
            _origin(one),
            _metrics(one),
        )
        for one in versions
    ]
    return table_lines(("version", "framework", "size", "registered", "from", "metrics"), rows)


def _origin(version: "ModelView") -> str:
    return version["lineage"].get("run") or "a file"


def _metrics(version: "ModelView") -> str:
    metrics: dict[str, float] = version["lineage"].get("metrics") or {}
    return " ".join(f"{name}={value:.5g}" for name, value in metrics.items())


def register(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    path: Annotated[Path, typer.Argument(help="File or folder.")],
    project: Annotated[str | None, typer.Option(help="Project; by default the name of the present folder.")] = None,
    framework: Annotated[str | None, typer.Option(help="xgboost or sklearn; by default the files tell.")] = None,
    output: Output = Format.PRETTY,
) -> None:
    """Register a file or a folder as the next version of a model."""
    with open_client() as client, sending() as progress:
        view = client.register(model, path, project=project, framework=framework, progress=progress)
    if output is Format.JSON:
        say_json(view)
    else:
        say(f"registered {view['reference']} ({view['framework'] or 'needs a predictor'}, {size(view['size_bytes'])})")


def add_to(app: typer.Typer) -> None:
    for command in (models, register):
        app.command()(command)
