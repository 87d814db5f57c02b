"""Models: models (show, tag, approve, reject), promote, register; what `compare` does with versions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from modelyard.cli.output import Format, Output, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending
from modelyard.cli.session import open_client
from modelyard.cli.times import age, size
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.sdk.client import Client
    from modelyard.sdk.views import LineageView, ModelVersionView, ModelView

SHOW = "show"
DIGEST_LENGTH_SHOWN = 12


class _ShowByDefault(TyperGroup):
    """`models`, `models price` and `models -o json` mean `models show ...`, so that the common case stays short."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer keeps the type of its context to itself
        if not args or args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


models = typer.Typer(name="models", help="List models, look at one, and say what you think of it.", cls=_ShowByDefault)

Version = Annotated[str, typer.Argument(metavar="MODEL[:VERSION|@ALIAS]", help="The newest version by default.")]


@models.command(name=SHOW)
def show_models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL[:VERSION|@ALIAS]]", help="A model or a version of it; nothing lists all."),
    ] = None,
    output: Output = Format.PRETTY,
) -> None:
    """List models, the versions of one, or everything about a version."""
    if name is not None and (":" in name or "@" in name):
        _show_version(name, output)
        return
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
            " ".join(one["aliases"]),
            one["approval"]["state"],
            one["framework"],
            size(one["size_bytes"]),
            age(one["created_at"]),
            _origin(one),
            _metrics(one),
        )
        for one in versions
    ]
    return table_lines(("version", "aliases", "approval", "framework", "size", "registered", "from", "metrics"), rows)


def _origin(version: "ModelView") -> str:
    return version["lineage"].get("run") or "a file"


def _metrics(version: "ModelView") -> str:
    metrics = version["lineage"].get("metrics", {})
    return " ".join(f"{name}={value:.5g}" for name, value in metrics.items())


def _show_version(reference: str, output: Format) -> None:
    with open_client() as client:
        found = client.model_version(reference)
    if output is Format.JSON:
        say_json(found)
        return
    for line in version_lines(found):
        say(line)


def version_lines(found: "ModelVersionView") -> list[str]:
    """Everything about a version: what it is, what is said of it, what made it, what serves it."""
    facts = [
        ("framework", found["framework"] or "needs a predictor"),
        ("size", size(found["size_bytes"])),
        ("registered", f"{age(found['created_at'])} ago, project {found['project']}"),
        ("aliases", " ".join(found["aliases"])),
        ("approval", _approval(found)),
        ("tags", " ".join(f"{name}={value}" for name, value in found["tags"].items())),
        ("files", found["tree"][:DIGEST_LENGTH_SHOWN]),
    ]
    lines = [found["reference"], *_aligned([*facts, *_made_from(found)])]
    lines += [
        f"serves as {one['endpoint']} (version {one['version']}{_asked(one['asked'])}{_share(one['percent'])})"
        for one in found["serving"]
    ]
    now = {(one["endpoint"], one["version"]) for one in found["serving"]}
    lines += [
        f"served as {one['endpoint']} (version {one['version']}, deployed {age(one['deployed_at'])} ago)"
        for one in found["served"]
        if (one["endpoint"], one["version"]) not in now
    ]
    lines += [f"was trained into {one}" for one in found["children"]]
    return lines


def _share(percent: float | None) -> str:
    return "" if percent is None else f", {percent:g} % of the requests"


def _asked(asked: str | None) -> str:
    return f", deployed as {asked}" if asked else ""


def _approval(found: "ModelView") -> str:
    approval = found["approval"]
    by = f" by {approval['by']}" if approval["by"] else ""
    at = f" {age(approval['at'])} ago" if approval["at"] else ""
    note = f": {approval['note']}" if approval["note"] else ""
    return f"{approval['state']}{by}{at}{note}"


def _made_from(found: "ModelView") -> list[tuple[str, str]]:
    """What made it, a row each."""
    lineage = found["lineage"]
    rows = [("run", lineage.get("run") or "none; registered from a file")]
    rows += [(f"input {name}", _input(lineage, name, digest)) for name, digest in lineage.get("inputs", {}).items()]
    rows += [(f"hyperparameter {name}", value) for name, value in lineage.get("hyperparameters", {}).items()]
    rows += [(f"metric {name}", f"{value:.6g}") for name, value in lineage.get("metrics", {}).items()]
    rows += [("code", _short(lineage.get("code_digest"))), ("commit", lineage.get("git_commit") or "")]
    return [row for row in rows if row[1]]


def _input(lineage: "LineageView", channel: str, digest: str) -> str:
    source = lineage.get("sources", {}).get(channel)
    parent = lineage.get("parents", {}).get(channel)
    return " ".join(filter(None, [_short(digest), f"from {source}" if source else "", f"({parent})" if parent else ""]))


def _short(digest: str | None) -> str:
    return "" if digest is None else digest if ":" in digest else digest[:DIGEST_LENGTH_SHOWN]


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name.ljust(width)}   {value or '-'}" for name, value in rows]


@models.command(name="tag")
def tag_model(
    version: Version,
    tags: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="NAME= alone takes the tag away.")],
    output: Output = Format.PRETTY,
) -> None:
    """Set tags of a version, or take them away."""
    changes: dict[str, str | None] = {}
    for text in tags:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidValue(f"cannot read tag {text!r}", "write NAME=VALUE, or NAME= to take it away")
        changes[name] = value or None
    with open_client() as client:
        found = client.tag_model(version, changes)
    if output is Format.JSON:
        say_json(found)
        return
    shown = " ".join(f"{name}={value}" for name, value in found["tags"].items())
    say(f"{found['reference']}: {shown or 'no tags'}")


Note = Annotated[str | None, typer.Option("--note", help="Why.")]


@models.command(name="approve")
def approve_model(version: Version, note: Note = None, output: Output = Format.PRETTY) -> None:
    """Approve a version, for endpoints that require it."""
    with open_client() as client:
        _say_decision(client.decide_model(version, "approved", note), output)


@models.command(name="reject")
def reject_model(version: Version, note: Note = None, output: Output = Format.PRETTY) -> None:
    """Reject a version: endpoints that require approval refuse it. What serves goes on."""
    with open_client() as client:
        _say_decision(client.decide_model(version, "rejected", note), output)


def _say_decision(found: "ModelView", output: Format) -> None:
    say_json(found) if output is Format.JSON else say(f"{found['reference']} {_approval(found)}")


def give_alias(version: str, alias: str, *, remove: bool, output: Format) -> None:
    """What `promote` does where it is given an alias."""
    with open_client() as client:
        if remove:
            view = client.delete_alias(version.partition(":")[0].partition("@")[0], alias)
        else:
            view = client.promote(version, alias)
    if output is Format.JSON:
        say_json(view)
    elif remove:
        say(f"{view['model']}@{view['alias']} is taken from {view['model']}:{view['version']}")
    else:
        before = (
            f", before {view['model']}:{view['previous']}" if view["previous"] not in (None, view["version"]) else ""
        )
        say(f"{view['model']}@{view['alias']} is {view['model']}:{view['version']} now{before}")
        if view["behind"]:
            say(f"deployed by that alias: {', '.join(view['behind'])}; `modelyard deploy` again brings it there")


def compare_versions(client: "Client", references: Sequence[str], output: Format) -> None:
    """Two versions: metrics, hyperparameters, inputs, size."""
    if len(references) != 2:
        raise InvalidValue(f"cannot compare {len(references)} versions of models", "name two")
    left, right = (client.model_version(one) for one in references)
    if output is Format.JSON:
        say_json({"versions": [left, right]})
        return
    for line in comparison_lines(left, right):
        say(line)


def comparison_lines(left: "ModelView", right: "ModelView") -> list[str]:
    """A row for each fact that either has; rows that differ are marked."""
    columns = [dict(_facts(one)) for one in (left, right)]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [
        (name, columns[0].get(name), columns[1].get(name), " " if columns[0].get(name) == columns[1].get(name) else "*")
        for name in names
    ]
    return table_lines((" ", left["reference"], right["reference"], "differs"), rows)


def _facts(one: "ModelView") -> list[tuple[str, str]]:
    made = _made_from(one)
    order = ("metric", "hyperparameter", "input", "code", "commit", "run")
    rows = [row for kind in order for row in made if row[0].partition(" ")[0] == kind]
    return [
        *rows,
        ("files", one["tree"][:DIGEST_LENGTH_SHOWN]),
        ("size", size(one["size_bytes"])),
        ("framework", one["framework"] or ""),
        ("aliases", " ".join(one["aliases"])),
        ("approval", one["approval"]["state"]),
    ]


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
    app.add_typer(models)
    app.command()(register)
