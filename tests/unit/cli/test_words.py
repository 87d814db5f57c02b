"""Times, sizes and tables as people read them."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from modelyard.cli.output import table_lines
from modelyard.cli.times import age, between, size

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-01-31T11:59:48.000Z", "12s"),
        ("2026-01-31T11:57:00Z", "3m"),
        ("2026-01-31T09:00:00Z", "3h"),
        ("2026-01-26T11:00:00Z", "5d"),
        ("2026-01-31T12:00:01Z", "0s"),
        (None, "-"),
    ],
)
def test_an_age_is_one_number_and_one_unit(stamp: str | None, text: str) -> None:
    assert age(stamp, NOON) == text


@pytest.mark.parametrize(
    ("ended", "text"),
    [("2026-01-31T11:00:04.250Z", "4.2s"), ("2026-01-31T11:03:05Z", "3m05s"), (None, "1h00m")],
)
def test_how_long_something_took(ended: str | None, text: str) -> None:
    assert between("2026-01-31T11:00:00Z", ended, NOON) == text


@pytest.mark.parametrize(("amount", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (None, "-")])
def test_a_size_has_a_unit(amount: int | None, text: str) -> None:
    assert size(amount) == text


def test_columns_are_aligned_and_nothing_is_a_dash() -> None:
    assert table_lines(("a", "name"), [("long", None), ("x", "y")]) == ["a      name", "long   -", "x      y"]


def test_help_loads_nothing_heavy() -> None:
    heavy = ("httpx", "pydantic", "yaml", "rich", "numpy", "asyncio", "modelyard.sdk")
    program = (
        "import sys; from modelyard.cli.main import main; code = main(['--help']); "
        f"print([one for one in {heavy} if one in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
