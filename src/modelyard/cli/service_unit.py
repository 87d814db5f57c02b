"""A systemd user unit: the yard starts with the machine, and again where it ends by a fault.

KillMode=process    only the supervisor is told to end, and ends the rest in order; where it was killed, its
                    successor finds what serves still at work and adopts it
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from modelyard.errors import InvalidValue, StoreFailed
from modelyard.settings import Home, YardSettings, home_from, settings_arguments

STOP_SECONDS = 120
"""More than the supervisor gives all of its processes together."""

RESTART_SECONDS = 2

_OWN = "MODELYARD_"
_NOT_OURS_TO_KEEP = ("MODELYARD_HOME", "MODELYARD_URL", "MODELYARD_API_KEY")
"""The home is stated anyway; the others are a client's, and a key stands in no file but its own."""


def install_unit(home: Home, settings: YardSettings, environment: Mapping[str, str]) -> Path:
    """Writes the unit of this home; doing so again replaces it. Raises InvalidValue, StoreFailed."""
    folder = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".config")
    path = folder / "systemd" / "user" / unit_name(home, environment)
    text = unit_text(home, settings, environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise StoreFailed(
            f"cannot write {path}: {error.strerror}", "set XDG_CONFIG_HOME to a folder of yours"
        ) from error
    return path


def unit_name(home: Home, environment: Mapping[str, str]) -> str:
    """`modelyard.service` for the default home; others have a part of their own."""
    without = {name: value for name, value in environment.items() if name != "MODELYARD_HOME"}
    if home == home_from(without):
        return "modelyard.service"
    return f"modelyard-{hashlib.sha256(os.fsencode(home.root)).hexdigest()[:8]}.service"


def unit_text(home: Home, settings: YardSettings, environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "modelyard.cli.main", "up", *settings_arguments(settings)]
    variables = {"MODELYARD_HOME": str(home.root), **_settings(environment)}
    lines = [
        "[Unit]",
        f"Description=Modelyard in {_plain(str(home.root))}",
        "After=network.target",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in command)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(variables.items())),
        "KillMode=process",
        "Restart=on-failure",
        f"RestartSec={RESTART_SECONDS}",
        f"TimeoutStopSec={STOP_SECONDS}",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return "\n".join(lines)


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_OWN) and name not in _NOT_OURS_TO_KEEP and value
    }


def _quoted(word: str) -> str:
    """As systemd.syntax(7) and systemd.unit(5) want it: in quotes, with % doubled."""
    return '"' + _plain(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    if any(ord(character) < ord(" ") for character in text):
        raise InvalidValue(f"cannot write {text!r} into a unit: it holds a control character", "use another path")
    return text.replace("%", "%%")
