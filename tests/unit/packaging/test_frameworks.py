"""Model files told apart by name and first bytes; real files of the libraries themselves."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression

from modelyard.errors import InvalidValue
from modelyard.packaging.frameworks import HEAD_BYTES, Detection, Framework, detect, loader_for


def looked_at(folder: Path) -> Detection:
    names = [one.name for one in folder.iterdir()]
    return detect(names, lambda name: (folder / name).read_bytes()[:HEAD_BYTES])


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    data = xgboost.DMatrix(np.eye(4), label=np.arange(4.0))
    return xgboost.train({"max_depth": 1, "nthread": 1}, data, num_boost_round=1)


@pytest.mark.parametrize("name", ["model.ubj", "model.json", "xgboost-model"])
@pytest.mark.filterwarnings("ignore:.*UBJSON.*")
def test_a_saved_booster_is_xgboost(booster: xgboost.Booster, tmp_path: Path, name: str) -> None:
    format_name = name.rpartition(".")[2] if "." in name else "ubj"
    (tmp_path / name).write_bytes(bytes(booster.save_raw(format_name)))
    (tmp_path / "metrics.json").write_text('{"rmse": 1.0}')
    found = looked_at(tmp_path)
    assert (found.framework, found.file, found.libraries) == ("xgboost", name, ("xgboost",))


@pytest.mark.parametrize("compress", [0, 3])
def test_a_joblib_file_is_scikit_learn(tmp_path: Path, compress: int) -> None:
    joblib.dump(LogisticRegression(), tmp_path / "model.joblib", compress=compress)
    assert looked_at(tmp_path) == Detection(Framework.SKLEARN, "model.joblib", ("sklearn",))


def test_xgboosts_face_of_scikit_learn_needs_both_libraries(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(xgboost.XGBRegressor()))
    assert looked_at(tmp_path).libraries == ("sklearn", "xgboost")


def test_two_models_are_named_and_neither_is_chosen() -> None:
    found = detect(["a.ubj", "b.joblib"], lambda name: b"\x80\x05" if name == "b.joblib" else b"{L")
    assert found.framework is None
    assert found.reason == "several files look like the model: a.ubj (xgboost), b.joblib (sklearn)"


def test_a_pickle_under_xgboosts_name_is_not_taken_for_its_format() -> None:
    assert detect(["xgboost-model"], lambda _name: b"\x80\x04").framework is None


@pytest.mark.parametrize(("name", "kind"), [("m.onnx", "ONNX"), ("m.pt", "PyTorch"), ("m.keras", "Keras")])
def test_models_without_loader_are_called_by_their_kind(name: str, kind: str) -> None:
    assert kind in str(detect([name], lambda _name: b"").reason)


def test_whoever_names_the_framework_is_believed() -> None:
    assert loader_for("sklearn", ["estimator.bin"], lambda _name: b"\x80\x05").file == "estimator.bin"


def test_an_unknown_framework_is_refused() -> None:
    with pytest.raises(InvalidValue, match="torch"):
        loader_for("torch", ["m.pt"], lambda _name: b"")
