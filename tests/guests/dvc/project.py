"""A folder under git and DVC, worked on with the real clients."""

import os
import subprocess
from pathlib import Path

LIMIT_SECONDS = 120


class Project:
    def __init__(self, folder: Path, dvc: Path) -> None:
        """`dvc` is the command of that name."""
        self.folder = folder
        self.command = dvc
        self._home = folder.parent / "home"
        self._home.mkdir(exist_ok=True)

    def begin(self) -> "Project":
        self.folder.mkdir()
        self.git("init", "--quiet")
        self.dvc("init", "--quiet")
        self.dvc("config", "core.analytics", "false")
        return self

    def use_remote(self, url: str, key: str) -> None:
        self.dvc("remote", "add", "--default", "yard", url)
        self.dvc("remote", "modify", "yard", "auth", "basic")
        self.dvc("remote", "modify", "yard", "user", "yard")
        self.give_key(key)

    def give_key(self, key: str) -> None:
        self.dvc("remote", "modify", "--local", "yard", "password", key)

    def write(self, path: str, content: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def start_dvc(self, *words: str) -> subprocess.Popen[str]:
        """Begins a command, whose output comes together."""
        return subprocess.Popen(
            [str(self.command), *words],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def dvc(self, *words: str, fails: bool = False) -> str:
        """What it said. Fails where it ended otherwise than expected."""
        process = self.start_dvc(*words)
        said, _ = process.communicate(timeout=LIMIT_SECONDS)
        assert (process.returncode != 0) is fails, said
        return said

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=self.folder if self.folder.exists() else self.folder.parent,
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        ).stdout

    @property
    def _environment(self) -> dict[str, str]:
        """Nothing of whoever runs the test."""
        author = {
            f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        return {
            **author,
            "PATH": f"{self.command.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "true",
        }
