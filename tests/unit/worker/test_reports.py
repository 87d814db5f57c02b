"""What a replica prints of an error: the user's part of it."""

from pathlib import Path
from typing import Any

import pytest
from modelyard_worker import batching
from modelyard_worker.signatures import CannotServe


def inside_of_ours(text: str) -> Any:
    """A function of that text, as if it stood in a file of the package."""
    names: dict[str, Any] = {"CannotServe": CannotServe}
    exec(compile(text, str(Path(batching.__file__).with_name("made_up.py")), "exec"), names)
    return names["function"]


def test_frames_before_the_users_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    through = inside_of_ours(
        "def function(other):\n    try:\n        other()\n    except Exception as error:\n        return error"
    )

    def of_the_user() -> None:
        raise ValueError("no such word")

    batching.report("it failed", through(of_the_user))
    text = capsys.readouterr().err
    assert "made_up.py" not in text
    assert "of_the_user" in text


def test_an_error_of_ours_alone_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    failing = inside_of_ours(
        "def function():\n    try:\n        raise OSError('gone')\n    except OSError as error:\n        return error"
    )
    batching.report("it failed", failing())
    assert "made_up.py" in capsys.readouterr().err


def test_what_cannot_be_served_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    batching.report("replica one cannot start", CannotServe("cannot serve Predictor (in predictor.py)"))
    assert capsys.readouterr().err == "replica one cannot start: cannot serve Predictor (in predictor.py)\n"
