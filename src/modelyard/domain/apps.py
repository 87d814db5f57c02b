"""Apps: programs with a web server of their own. Each is visited at an origin of its own, where an endpoint answers
predictions; versions, replicas and scaling are an endpoint's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from modelyard.domain.hosts import HOSTS_MAX, check_own_host, check_own_port
from modelyard.domain.names import nearest
from modelyard.errors import InvalidValue

KIND = "app"

PORT = "$PORT"
"""In a command or a variable: the port that the app is to listen on, at 127.0.0.1."""

FOLDER = "$FOLDER"
"""In a command or a variable: the app's own folder, which stays; it begins with a copy of the code."""

COMMAND_WORDS_MAX = 100

TARGET_VISITORS = 100.0
"""Requests and open WebSockets that one replica of an app is meant to hold, where it scales and does not say."""

BODY_BYTES_MAX = 2**30
BODY_BYTES = 200 * 2**20
"""The largest upload where the file does not say; Streamlit's own limit."""

DRAIN_SECONDS = 300.0
"""How long a replica that leaves keeps the visitors who have something open there, where the file does not say."""

_PYTHON = "python"


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What is an app's and not an endpoint's."""

    hosts: tuple[str, ...] = ()
    """Host names of its own, beside `NAME.localhost` and `NAME.APPS_DOMAIN`."""
    sticky: bool = True
    """Whether a visitor comes back to the replica where they were."""
    port: int | None = None
    """A port of its own, where people visit it; the one that its program listens on is another."""


def app_from(document: Mapping[str, Any]) -> AppSettings:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return AppSettings(tuple(document.get("hosts", ())), bool(document.get("sticky", True)), document.get("port"))


def check_app(app: AppSettings) -> AppSettings:
    """With its hosts as they are compared. Raises InvalidValue."""
    if len(app.hosts) > HOSTS_MAX:
        raise InvalidValue(f"cannot have {len(app.hosts)} host names", f"at most {HOSTS_MAX}")
    hosts = tuple(dict.fromkeys(check_own_host(one) for one in app.hosts))
    return AppSettings(hosts, app.sticky, check_own_port(app.port) if app.port is not None else None)


@dataclass(frozen=True, slots=True)
class Program:
    """How an app is started."""

    command: tuple[str, ...]
    """Words to execute in the folder of its code; `$PORT` stands for the port."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    health: str | None = None
    """Path that answers below 500 once it is ready; None where listening is enough."""


def _streamlit(path: str) -> Program:
    flags = {
        "server.port": PORT,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    return Program((_PYTHON, "-m", "streamlit", "run", path, *words), health="/_stcore/health")


def _panel(path: str) -> Program:
    # The gateway has checked where a WebSocket comes from.
    words = ("--port", PORT, "--address", "127.0.0.1", "--allow-websocket-origin", "*")
    return Program((_PYTHON, "-m", "panel", "serve", path, *words))


def _gradio(path: str) -> Program:
    variables = {"GRADIO_SERVER_PORT": PORT, "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    return Program((_PYTHON, path), variables)


def _script(path: str) -> Program:
    """Dash reads HOST and PORT, as most do."""
    return Program((_PYTHON, path))


def _jupyter(path: str) -> Program:
    flags = {
        "ServerApp.port": PORT,
        "ServerApp.port_retries": "0",
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.open_browser": "False",
        "ServerApp.allow_remote_access": "True",
        "ServerApp.allow_root": "True",
        "ServerApp.quit_button": "False",
        # Who may come in, the gateway has seen to; a second login would only be in the way.
        "IdentityProvider.token": "",
        "ServerApp.password": "",
        # The code of a version is read-only; notebooks are there to be changed.
        "ServerApp.root_dir": FOLDER if path == "." else f"{FOLDER}/{path}",
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    return Program((_PYTHON, "-m", "jupyterlab", *words), health="/api")


def _application(reference: str) -> Program:
    return Program((_PYTHON, "-m", "modelyard_worker.app_server", reference))


FRAMEWORKS = MappingProxyType(
    {"streamlit": _streamlit, "gradio": _gradio, "dash": _script, "panel": _panel, "jupyterlab": _jupyter}
)
"""Name -> how a file is started with it; of JupyterLab, a folder."""

_IMPORTS = ("streamlit", "gradio", "dash", "panel")


def program_of(
    *, command: Sequence[str] | None, framework: str | None, path: str | None, application: str | None
) -> Program:
    """How an app is started that its file describes in one of three ways. Raises InvalidValue."""
    if command is not None:
        if not 0 < len(command) <= COMMAND_WORDS_MAX or not all(command):
            raise InvalidValue("cannot start an app without a command", f"write 1 to {COMMAND_WORDS_MAX} words")
        return Program(tuple(command))
    if application is not None:
        return _application(application)
    if framework is None:
        raise InvalidValue(
            "cannot tell how to start the app", f"name a `command`, or a `framework`: {', '.join(FRAMEWORKS)}"
        )
    if framework not in FRAMEWORKS:
        close = nearest(framework, FRAMEWORKS)
        hint = f"did you mean {close}?" if close else f"frameworks are {', '.join(FRAMEWORKS)}"
        raise InvalidValue(f"cannot start an app with {framework[:40]!r}", hint)
    return FRAMEWORKS[framework](path or ".")


def framework_in(source: str) -> str | None:
    """The framework that a file imports; None where it imports none, or several."""
    words = {part for line in source.splitlines() for part in [_imported(line)] if part in _IMPORTS}
    return words.pop() if len(words) == 1 else None


def _imported(line: str) -> str | None:
    words = line.split()
    return words[1].partition(".")[0].rstrip(",") if len(words) > 1 and words[0] in ("import", "from") else None
