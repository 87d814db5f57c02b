from pathlib import Path

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import read_yard_file

ENDPOINT = "- name: price\n  model: price\n"
TRAINING = "- name: t\n  kind: training\n  algorithm: xgboost\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "modelyard.yaml"
    path.write_text(text)
    (folder / "p.py").touch()
    return path


def test_plain_variables_and_secrets_are_told_apart(tmp_path: Path) -> None:
    file = read_yard_file(write(tmp_path, ENDPOINT + "  env: {A: 1, B: true, C: {secret: db-password}}\n"))
    settings = file.endpoints[0].settings
    assert settings["environment"] == {"A": "1", "B": "true"}
    assert settings["secrets"] == {"C": "db-password"}


def test_a_training_has_secrets_too(tmp_path: Path) -> None:
    file = read_yard_file(write(tmp_path, TRAINING + "  env:\n    A: x\n    B:\n      secret: token\n"))
    assert (file.trainings[0].environment, file.trainings[0].secrets) == ({"A": "x"}, {"B": "token"})


def test_the_endpoints_own_variable_wins_over_the_predictors_whichever_is_the_secret(tmp_path: Path) -> None:
    predictor = "  predictor: {path: p.py, env: {A: {secret: old}, B: old, C: kept}}\n"
    file = read_yard_file(write(tmp_path, ENDPOINT + predictor + "  env: {A: new, B: {secret: new}}\n"))
    settings = file.endpoints[0].settings
    assert settings["environment"] == {"A": "new", "C": "kept"}
    assert settings["secrets"] == {"B": "new"}


@pytest.mark.parametrize("value", ["{secrets: x}", "{secret: x, more: y}", "{secret: [x]}", "{secret: 'a b'}", "[x]"])
def test_anything_else_is_refused_with_line_and_what_is_allowed(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_yard_file(write(tmp_path, ENDPOINT + f"  env:\n    A: {value}\n"))
    assert "price.env" in refused.value.message
    assert "NAME: {secret: SECRET}" in refused.value.message
