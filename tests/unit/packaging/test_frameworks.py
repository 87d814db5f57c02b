"""Model files told apart by name and first bytes; real files of the libraries themselves."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import xgboost
from modelyard_worker.loaders import loaders
from sklearn.linear_model import LogisticRegression

from modelyard.errors import InvalidValue
from modelyard.packaging.frameworks import HEAD_BYTES, LIBRARIES, Detection, Framework, detect, loader_for


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
    assert looked_at(tmp_path) == Detection(Framework.SKLEARN, "model.joblib", ("sklearn.ensemble",))


def test_xgboosts_face_of_scikit_learn_needs_both_libraries(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(xgboost.XGBRegressor()))
    assert looked_at(tmp_path).libraries == ("sklearn.ensemble", "xgboost")


def test_two_models_are_named_and_neither_is_chosen() -> None:
    found = detect(["a.ubj", "b.joblib"], lambda name: b"\x80\x05" if name == "b.joblib" else b"{L")
    assert found.framework is None
    assert found.reason == "several files look like the model: a.ubj (xgboost), b.joblib (sklearn)"


def test_a_pickle_under_xgboosts_name_is_not_taken_for_its_format() -> None:
    assert detect(["xgboost-model"], lambda _name: b"\x80\x04").framework is None


@pytest.mark.parametrize(
    ("name", "begins", "framework"),
    [
        ("model.txt", b"tree\nversion=v4\n", "lightgbm"),
        ("model.lgb", b"tree\n", "lightgbm"),
        ("xgboost-model", b"tree\n", "lightgbm"),
        ("model.cbm", b"CBM1", "catboost"),
        ("model.bin", b"CBM1", "catboost"),
        ("m.onnx", b"\x08\x0a\x12\x08skl2onnx", "onnx"),
        ("m.pt", b"PK\x03\x04", "pytorch"),
        ("m.pt2", b"PK\x03\x04", "pytorch"),
        ("m.keras", b"PK\x03\x04", "keras"),
        ("m.skops", b"PK\x03\x04", "skops"),
        ("M.ONNX", b"", "onnx"),
    ],
)
def test_each_framework_is_known_by_its_files(name: str, begins: bytes, framework: str) -> None:
    found = detect([name, "README.md"], lambda path: begins if path == name else b"# hello")
    assert (found.framework, found.file) == (framework, name)


@pytest.mark.parametrize(
    ("paths", "framework", "file"),
    [
        (["MLmodel", "model.pkl", "requirements.txt", "python_env.yaml"], "mlflow", None),
        (["model/MLmodel", "model/model.ubj"], "mlflow", "model"),
        (["MLmodel", "data/model/saved_model.pb"], "mlflow", None),
        (["saved_model.pb", "variables/variables.index", "assets/words.txt"], "tensorflow", None),
        (["1/saved_model.pb", "1/variables/variables.index", "notes.md"], "tensorflow", "1"),
    ],
)
def test_a_folder_that_is_the_model_hides_the_files_in_it(paths: list[str], framework: str, file: str | None) -> None:
    found = detect(paths, lambda _path: b"")
    assert (found.framework, found.file) == (framework, file)


def test_two_folders_are_two_models() -> None:
    found = detect(["1/saved_model.pb", "2/saved_model.pb"], lambda _path: b"")
    assert found.reason == "several files look like the model: 1 (tensorflow), 2 (tensorflow)"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("weights.pth", "weights.pth looks like a PyTorch file without code (a state_dict)"),
        ("model.h5", "model.h5 looks like Keras's old HDF5 format"),
        ("model.safetensors", "weights without code"),
        ("data.csv", "no file looks like a model of xgboost, sklearn, skops, lightgbm"),
    ],
)
def test_what_has_no_loader_is_called_by_its_kind(name: str, reason: str) -> None:
    assert reason in str(detect([name], lambda _name: b"\x80\x02").reason)


def test_no_file_is_read_whose_name_says_that_it_is_no_model() -> None:
    read: list[str] = []

    def head(path: str) -> bytes:
        read.append(path)
        return b""

    assert detect(["weights.parquet", "image.png", "notes.md"], head).framework is None
    assert read == []


def test_every_framework_has_a_loader_that_declares_the_same_libraries() -> None:
    known = loaders()
    assert set(known) == {one.value for one in Framework}
    for framework in Framework:
        assert set(LIBRARIES[framework]) <= set(known[framework].libraries)


def test_a_file_of_another_framework_is_refused_by_what_it_is() -> None:
    with pytest.raises(InvalidValue, match=r"model\.cbm is a CatBoost model; it does not load as xgboost") as refused:
        loader_for("xgboost", ["model.cbm"], lambda _name: b"CBM1")
    assert "framework: catboost" in str(refused.value.hint)


def test_whoever_names_the_framework_is_believed() -> None:
    assert loader_for("sklearn", ["estimator.bin"], lambda _name: b"\x80\x05").file == "estimator.bin"


def test_an_unknown_framework_is_refused() -> None:
    with pytest.raises(InvalidValue, match="torch"):
        loader_for("torch", ["m.pt"], lambda _name: b"")
