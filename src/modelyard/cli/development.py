"""`modelyard dev`: what somebody works on, live anew after each save."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.endpoints import Project
from modelyard.cli.output import Format, Output, first_line, remark, say, say_error
from modelyard.cli.progress import waiting
from modelyard.errors import InvalidValue, ModelyardError

if TYPE_CHECKING:
    from modelyard.protocol.views_of_endpoints import EndpointView
    from modelyard.sdk.client import Client
    from modelyard.sdk.development import Development

DEBOUNCE_MILLISECONDS = 300
"""Saves within so short a time are one change: editors write aside and rename, and a checkout writes many files."""

QUIET_MILLISECONDS = 100
"""No save for so long ends the change before that."""

FILES_NAMED_MAX = 3
"""Files of one change that its line names."""

REASON_LINES_MAX = 20
"""Of why a version failed."""

LOOK_SECONDS = 0.5


class _OutdatedError(Exception):
    """What is waited for is out of date."""


class _Saves:
    """What has been saved in a folder, seen by a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changes: SimpleQueue[set[str]] = SimpleQueue()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="saves", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        from watchfiles import watch  # noqa: PLC0415 (no other command needs it)

        try:
            for changes in watch(
                self._folder,
                debounce=DEBOUNCE_MILLISECONDS,
                step=QUIET_MILLISECONDS,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                self._changes.put({str(Path(path).relative_to(self._folder)) for _, path in changes})
        except Exception as error:  # noqa: BLE001 (told in the thread that waits)
            self._failure = error

    @property
    def some_wait(self) -> bool:
        return not self._changes.empty()

    def take(self) -> set[str]:
        """Waits for the next change, and takes what else there is."""
        found: set[str] = set()
        while not found:
            if self._failure is not None:
                raise InvalidValue(
                    f"cannot watch {self._folder}: {self._failure}",
                    "WATCHFILES_FORCE_POLLING=true looks at the files again and again instead",
                )
            # In short waits: a signal is handled between them.
            with contextlib.suppress(Empty):
                found = self._changes.get(timeout=LOOK_SECONDS)
        while self.some_wait:
            found |= self._changes.get()
        # Editors write aside and rename: what is gone again is nobody's change, unless nothing else is.
        return {one for one in found if (self._folder / one).exists()} or found

    def close(self) -> None:
        self._stop.set()
        self._thread.join(1.0)


@dataclass(slots=True)
class _Result:
    """What one change came to."""

    files: list[str]
    began_at: float = field(default_factory=time.monotonic)
    views: "list[tuple[EndpointView, int]]" = field(default_factory=list["tuple[EndpointView, int]"])
    """Each with the version that the change made."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began_at

    @property
    def cause(self) -> str:
        named = ", ".join(self.files[:FILES_NAMED_MAX])
        more = len(self.files) - FILES_NAMED_MAX
        return f"{named} and {more} more" if more > 0 else named


def dev(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Yard file, or project folder.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Work on this alone; may be given repeatedly.")
    ] = None,
    project: Project = None,
    output: Output = Format.PRETTY,
) -> None:
    """Put endpoints, functions and apps live as NAME-dev, anew after each save, until Ctrl-C."""
    from modelyard.cli.session import open_client  # noqa: PLC0415 (likewise)

    with open_client() as client:
        development = client.develop(file, project=project, only=only or ())
        with _ending_in_order(), contextlib.closing(_Saves(development.folder)) as saves:
            try:
                _work(client, development, saves, output)
            except KeyboardInterrupt:
                pass
            finally:
                _end(development, output)


def _work(client: "Client", development: "Development", saves: _Saves, output: Format) -> None:
    _change(client, development, saves, [], output)
    if output is Format.PRETTY:
        remark(f"watching {development.folder}; Ctrl-C ends")
    while True:
        _change(client, development, saves, sorted(saves.take()), output)


def _change(client: "Client", development: "Development", saves: _Saves, files: list[str], output: Format) -> None:
    """Puts what is there now live, and says in one line what came of it. A mistake is told, and mended by a save."""
    result = _Result(files)
    try:
        deployment = development.deploy()
        for note in deployment.notes if not files else ():
            remark(note)
        changed = [one for one in deployment.outcomes if one["change"] != "is up to date"]
        for outcome in changed if files else deployment.outcomes:
            version = outcome["version"] or 0
            result.views.append((_settled(client, outcome["name"], version, saves), version))
    except _OutdatedError:
        return
    except ModelyardError as error:
        _say_refused(result, error, output)
        return
    if result.views:
        _say_result(client, result, output)


def _settled(client: "Client", name: str, version: int, saves: _Saves) -> "EndpointView":
    """Waits for that version as long as nobody saves anything."""
    with waiting() as shown:

        def look(view: "EndpointView") -> None:
            if saves.some_wait:
                raise _OutdatedError
            shown.show(f"{name}: {view.state}, {view.sentence}")

        return client.wait_endpoint(name, version, progress=look)


def _say_refused(result: _Result, error: ModelyardError, output: Format) -> None:
    if output is Format.JSON:
        _say_json({"changed": result.files, "error": {"message": error.message, "hint": error.hint}})
        return
    say(_stamped(result, "not deployed, what was live serves on"))
    say_error(error.message, error.hint)


def _say_result(client: "Client", result: _Result, output: Format) -> None:
    if output is Format.JSON:
        endpoints = [_document(client, view, version) for view, version in result.views]
        _say_json({"changed": result.files, "seconds": round(result.seconds, 3), "endpoints": endpoints})
        return
    if not result.files:
        for view, version in result.views:
            say(f"{_sentence(view, version)}: {_place(client, view)}")
    else:
        said = "; ".join(_sentence(view, version) for view, version in result.views)
        say(_stamped(result, f"{said} ({result.seconds:.1f} s)"))
    for view, version in result.views:
        for line in _reason(view, version):
            remark(f"    {line}")


def _sentence(view: "EndpointView", version: int) -> str:
    if view.serving_version == version:
        return f"{view.name} {version} is live"
    others = f", {view.serving_version} serves on" if view.serving_version else ""
    return f"{view.name} {version} failed{others}: {first_line(_why(view, version))}"


def _reason(view: "EndpointView", version: int) -> Sequence[str]:
    """What a failed version's own words go on with."""
    return [] if view.serving_version == version else _why(view, version).splitlines()[1:][-REASON_LINES_MAX:]


def _why(view: "EndpointView", version: int) -> str:
    own = next((one.reason for one in view.versions if one.number == version), None)
    return own or view.sentence


def _place(client: "Client", view: "EndpointView") -> str:
    """Where to look at it."""
    if view.kind == "app" or view.is_function:
        return view.url
    return f"{client.url}/endpoints/{view.name}/invocations"


def _document(client: "Client", view: "EndpointView", version: int) -> dict[str, Any]:
    serves = view.serving_version == version
    return {
        "name": view.name,
        "kind": view.kind,
        "version": version,
        "serving_version": view.serving_version,
        "url": _place(client, view),
        "reason": None if serves else _why(view, version),
    }


def _stamped(result: _Result, text: str) -> str:
    cause = f"{result.cause}: " if result.files else ""
    return f"{time.strftime('%H:%M:%S')}  {cause}{text}"


def _say_json(document: dict[str, Any]) -> None:
    """A line for each change, as soon as it is there."""
    import json  # noqa: PLC0415 (likewise)

    say(json.dumps(document, ensure_ascii=False))
    sys.stdout.flush()


def _end(development: "Development", output: Format) -> None:
    names = development.end()
    if output is Format.JSON:
        _say_json({"deleted": names})
    elif names:
        say(f"deleted {', '.join(names)}")


@contextlib.contextmanager
def _ending_in_order() -> Generator[None]:
    """SIGTERM ends it as Ctrl-C does, and so does SIGINT where a shell has it ignored: for a job in the background."""

    def interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 (a handler's signature)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_to(app: typer.Typer) -> None:
    app.command()(dev)
