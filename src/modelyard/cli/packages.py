"""Packages: build, package list|inspect|export|import|verify, export-image."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, say, say_json, say_table, table_lines
from modelyard.cli.progress import sending
from modelyard.cli.session import open_client
from modelyard.cli.times import size
from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    from modelyard.sdk.packages import Built
    from modelyard.sdk.views import PackageView

SUFFIX = ".myp"
_DIGEST_SHOWN = 16

Target = Annotated[
    list[str] | None,
    typer.Option("-o", "--output", metavar="PATH|json", help="Where to write; `json` besides, for programs."),
]
Reference = Annotated[str, typer.Argument(help="NAME or NAME:VERSION of an endpoint, a digest, or a package's file.")]

group = typer.Typer(help="Look at packages, and carry them from yard to yard.", no_args_is_help=True)


def _outputs(given: list[str] | None, default: str) -> tuple[Path, Format]:
    """`-o` names a place; `-o json` asks for JSON as everywhere, and may be said besides."""
    words = given or []
    formats = [word for word in words if word in list(Format)]
    places = [word for word in words if word not in formats]
    if len(places) > 1 or len(formats) > 1:
        raise InvalidValue(f"cannot write to {' and '.join(words)}", "name one place")
    return Path(places[0] if places else default).expanduser(), Format(formats[0]) if formats else Format.PRETTY


def build(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Yard file, project folder, or model file.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Which endpoint, or what to call that of a model file.")] = None,
    output: Target = None,
) -> None:
    """Build an endpoint's package as a file, without a yard: the same bytes from the same inputs."""
    from modelyard.sdk.packages import build_file  # noqa: PLC0415 (start-up time of the other commands)

    target, form = _outputs(output, f"{name or file.absolute().stem}{SUFFIX}")
    _say_built("built", build_file(file, target, name=name), form)


def _say_built(verb: str, built: "Built", form: Format) -> None:
    if form is Format.JSON:
        say_json({**asdict(built), "path": str(built.path)})
    else:
        say(f"{verb} {built.path} ({built.file_count} files, {size(built.size_bytes)})")
        say(f"digest: {built.digest}")


def list_packages(output: Output = Format.PRETTY) -> None:
    """List the packages that the yard has."""
    with open_client() as client:
        found = client.packages()
    if output is Format.JSON:
        say_json({"packages": found})
    elif not found:
        say("no packages yet; `modelyard deploy` and `modelyard package import` add one")
    else:
        say_table(("digest", "endpoints", "runs", "python", "files", "size"), [_row(one) for one in found])


def _row(one: "PackageView") -> tuple[Any, ...]:
    python = one["python_version"] or ("the yard's" if not one["document"].get("environment") else "not built yet")
    endpoints = " ".join(one["endpoints"])
    return one["digest"][:_DIGEST_SHOWN], endpoints, _what(one), python, one["file_count"], size(one["size_bytes"])


def _what(one: "PackageView") -> str:
    predictor: dict[str, Any] = one["document"].get("predictor") or {}
    model: dict[str, Any] = one["document"].get("model") or {}
    return str(predictor.get("path") or model.get("framework"))


def inspect(reference: Reference, output: Output = Format.PRETTY) -> None:
    """Show what is in a package."""
    place = Path(reference)
    found = _inspect_file(place) if _is_file(reference) else _inspect(reference)
    if output is Format.JSON:
        say_json(found)
        return
    say(f"digest: {found.get('digest') or found['package']['digest']}")
    rows = [(one["path"], size(one["size_bytes"]), one["sha256"][:_DIGEST_SHOWN]) for one in found["files"]]
    for line in table_lines(("file", "size", "sha256"), rows):
        say(line)
    if found.get("lock"):
        say("\nrequirements, resolved:")
        say(str(found["lock"]).rstrip())


def _inspect_file(place: Path) -> dict[str, Any]:
    from modelyard.sdk.packages import inspect_file  # noqa: PLC0415 (start-up time of the other commands)

    return inspect_file(place)


def _inspect(reference: str) -> Any:
    with open_client() as client:
        return client.package(reference)


def _is_file(reference: str) -> bool:
    return reference.endswith(SUFFIX) or "/" in reference


def export(reference: Reference, output: Target = None) -> None:
    """Write a package of the yard to a file, its requirements resolved as they are here."""
    target, form = _outputs(output, f"{reference.replace(':', '-')}{SUFFIX}")
    with open_client() as client:
        built = client.export_package(reference, target)
    _say_built("wrote", built, form)


def import_file(
    file: Annotated[Path, typer.Argument(help="A package's file.")], output: Output = Format.PRETTY
) -> None:
    """Take a package's file into the yard; `modelyard deploy FILE` makes an endpoint of it."""
    with open_client() as client, sending() as progress:
        view = client.import_package(file, progress=progress)
    if output is Format.JSON:
        say_json(view)
    else:
        say(f"took in {file} ({view['file_count']} files, {size(view['size_bytes'])})")
        say(f"digest: {view['digest']}")


def verify(reference: Reference, output: Output = Format.PRETTY) -> None:
    """Read every file of a package again, and name what differs from what it should be."""
    differences = _verify_file(Path(reference)) if _is_file(reference) else _verify(reference)
    if output is Format.JSON:
        say_json({"reference": reference, "differences": differences})
    else:
        for one in differences:
            say(one)
        if not differences:
            say(f"{reference} is whole")
    if differences:
        raise typer.Exit(1)


def _verify_file(place: Path) -> list[str]:
    from modelyard.sdk.packages import verify_file  # noqa: PLC0415 (start-up time of the other commands)

    return verify_file(place)


def _verify(reference: str) -> list[str]:
    with open_client() as client:
        return client.verify_package(reference)


def export_image(reference: Reference, output: Target = None) -> None:
    """Write a folder with a Dockerfile that serves a package in SageMaker's container contract."""
    from modelyard.sdk.packages import write_image  # noqa: PLC0415 (start-up time of the other commands)

    default = f"{Path(reference).stem.replace(':', '-')}-image"
    folder, form = _outputs(output, default)
    if _is_file(reference):
        write_image(Path(reference), folder)
    else:
        with TemporaryDirectory(prefix="modelyard-export-") as temporary, open_client() as client:
            place = Path(temporary) / f"package{SUFFIX}"
            client.export_package(reference, place)
            write_image(place, folder)
    if form is Format.JSON:
        say_json({"folder": str(folder)})
    else:
        say(f"wrote {folder}")
        say(f"build it: docker build -t {default.removesuffix('-image').lower()} {folder}")


def add_to(app: typer.Typer) -> None:
    app.command()(build)
    app.command("export-image")(export_image)
    group.command("list")(list_packages)
    group.command("inspect")(inspect)
    group.command("export")(export)
    group.command("import")(import_file)
    group.command("verify")(verify)
    app.add_typer(group, name="package")
