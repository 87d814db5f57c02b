"""What a replica is told of where it is: the yard's address, and of an app, a folder that stays."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from modelyard_worker.records import read_json

from modelyard.controller.job_tokens import URL_VARIABLE
from modelyard.domain.endpoints import Endpoint
from modelyard.domain.names import name_key
from modelyard.errors import StoreFailed
from modelyard.settings import Home

FOLDER_VARIABLE = "MODELYARD_APP_FOLDER"


class Surroundings:
    def __init__(self, home: Home) -> None:
        self._home = home

    def variables(self, endpoint: Endpoint) -> dict[str, str]:
        """Raises StoreFailed where an app's folder cannot be made."""
        written: dict[str, Any] = read_json(str(self._home.yard)) or {}
        told = {URL_VARIABLE: str(written["url"])} if "url" in written else {}
        if endpoint.wished.spec.app is None:
            return told
        folder = self._folder(endpoint)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreFailed(f"cannot make {folder}: {error.strerror}", "free disk space under the home") from error
        return {**told, FOLDER_VARIABLE: str(folder)}

    def forget(self, endpoint: Endpoint) -> None:
        """It is deleted. What an app kept stays, but for one that was to go by itself."""
        folder = self._folder(endpoint)
        if endpoint.wished.spec.ttl_seconds is not None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _folder(self, endpoint: Endpoint) -> Path:
        return self._home.apps / name_key(endpoint.name)
