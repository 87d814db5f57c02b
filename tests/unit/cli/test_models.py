"""What is said about models."""

from typing import Any

import pytest

from modelyard.cli.models import comparison_lines, version_lines
from modelyard.sdk.views import ModelVersionView
from tests.unit.cli.conftest import Run
from tests.unit.sdk.small_yard import NOW, SmallYard


def version(number: int, **changes: Any) -> ModelVersionView:
    view: ModelVersionView = {
        "model": "price",
        "version": number,
        "reference": f"price:{number}",
        "tree": f"{number}" * 64,
        "size_bytes": 2048,
        "framework": "xgboost",
        "created_at": NOW,
        "project": "shop",
        "lineage": {"run": f"t-{number}", "metrics": {"rmse": 1.5}, "hyperparameters": {"eta": "0.2"}},
        "aliases": [],
        "tags": {},
        "approval": {"state": "pending", "by": None, "at": None, "note": None},
        "serving": [],
        "served": [],
        "children": [],
    }
    view.update(changes)  # pyright: ignore[reportCallIssue, reportArgumentType] (tests name the fields that they mean)
    return view


def rows(lines: list[str]) -> dict[str, list[str]]:
    return {cells[0]: cells[1:] for cells in ([cell for cell in line.split("   ") if cell.strip()] for line in lines)}


def test_a_comparison_marks_what_differs_and_says_what_only_one_has() -> None:
    right = version(2, lineage={"run": "t-2", "metrics": {"rmse": 1.25, "mae": 1.0}, "hyperparameters": {"eta": "0.2"}})
    found = rows(comparison_lines(version(1), right))
    assert [cell.strip() for cell in found["metric rmse"]] == ["1.5", "1.25", "*"]
    assert [cell.strip() for cell in found["metric mae"]] == ["-", "1", "*"]
    assert [cell.strip() for cell in found["hyperparameter eta"]] == ["0.2", "0.2"]
    assert list(found).index("metric rmse") < list(found).index("hyperparameter eta") < list(found).index("size")


def test_a_version_is_shown_with_what_made_it_and_what_serves_it() -> None:
    lines = version_lines(
        version(
            3,
            aliases=["champion"],
            tags={"team": "shop"},
            approval={"state": "rejected", "by": "ada", "at": None, "note": "leaks"},
            lineage={
                "run": "t-3",
                "inputs": {"train": "d" * 64},
                "sources": {"train": "run:t-1/model"},
                "parents": {"train": "price:1"},
                "code_digest": "builtin:xgboost@3.0",
            },
            serving=[
                {"endpoint": "price", "version": 2, "asked": "price@champion", "deployed_at": NOW, "percent": 10.0}
            ],
            served=[
                {"endpoint": "price", "version": 2, "asked": "price@champion", "deployed_at": NOW},
                {"endpoint": "old", "version": 1, "asked": None, "deployed_at": NOW},
            ],
            children=["tuned:1"],
        )
    )
    text = "\n".join(lines)
    for said in (
        "rejected by ada: leaks",
        "team=shop",
        f"{'d' * 12} from run:t-1/model (price:1)",
        "builtin:xgboost@3.0",
        "serves as price (version 2, deployed as price@champion, 10 % of the requests)",
        "served as old (version 1, deployed",
        "was trained into tuned:1",
    ):
        assert said in text
    assert text.count("price (version 2") == 1


@pytest.mark.parametrize(
    "words", [("models",), ("models", "price"), ("models", "show", "price"), ("models", "model/price")]
)
def test_models_lists_without_being_told_to(
    run: Run, yard: SmallYard, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    yard.add_model("price", "tree", "xgboost")
    assert run(*words) == 0
    assert "price" in capsys.readouterr().out


def test_a_tag_without_a_value_is_refused(run: Run, yard: SmallYard, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "tag", "price:1", "team") == 1
    assert "write NAME=VALUE" in capsys.readouterr().err
