from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pytest
import xgboost
from modelyard_worker.loaders import LoadFailed, loader_for, loader_named, loaders
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline

A, B = cast("Any", load_diabetes(return_X_y=True))
ROWS = xgboost.DMatrix(A, B)


@pytest.mark.parametrize("file", ["model.ubj", "model.json", "xgboost-model"])
@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
@pytest.mark.filterwarnings("ignore")  # the library warns of gblinear's end
def test_boosters_answer_what_the_librarys_own_call_answers(tmp_path: Path, file: str, booster: str) -> None:
    model = xgboost.train({"objective": "reg:squarederror", "booster": booster}, ROWS, 12)
    path = tmp_path / file
    path.write_bytes(model.save_raw("json" if file.endswith("json") else "ubj"))
    loader = loader_named("xgboost")
    assert loader.recognise(str(path))
    loaded = loader.load(str(tmp_path))
    assert np.array_equal(loader.predict(loaded, A), model.predict(xgboost.DMatrix(A)))
    assert loader.features(loaded) == A.shape[1]
    assert loaded.in_place is (booster == "gbtree")


def test_the_best_iteration_counts_where_training_stopped_early(tmp_path: Path) -> None:
    held = xgboost.DMatrix(A[300:], B[300:])
    model = xgboost.train(
        {"objective": "reg:squarederror", "eta": 1.0},
        xgboost.DMatrix(A[:300], B[:300]),
        50,
        evals=[(held, "held")],
        early_stopping_rounds=10,
        verbose_eval=False,
    )
    model.save_model(tmp_path / "model.ubj")
    loader = loader_named("xgboost")
    loaded = loader.load(str(tmp_path / "model.ubj"))
    best = model.predict(xgboost.DMatrix(A), iteration_range=(0, model.best_iteration + 1))
    assert np.array_equal(loader.predict(loaded, A), best)
    assert not np.array_equal(best, model.predict(xgboost.DMatrix(A)))


def test_an_estimators_jobs_are_as_many_as_the_threads(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(make_pipeline(RandomForestRegressor(5, n_jobs=-1)).fit(A, B), path)
    loader = loader_named("sklearn")
    model = loader.load(str(path))
    loader.set_threads(model, 2)
    assert model[0].n_jobs == 2
    assert loader.features(model) == A.shape[1]


def test_a_folder_must_hold_one_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with pytest.raises(LoadFailed, match=r"must hold one model file, it holds 2 \(a, b\)"):
        loader_named("xgboost").load(str(tmp_path))
    with pytest.raises(LoadFailed, match="there is no such file"):
        loader_named("sklearn").load(str(tmp_path / "c"))


def test_what_no_loader_recognises_is_refused_by_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(LoadFailed, match="it is an HDF5 file; write a predictor class"):
        loader_for(str(path))


def test_every_loader_declares_how_it_survives_a_fork() -> None:
    for name, loader in loaders().items():
        assert loader.name == name
        assert loader.fork in ("share", "load_after", "never")
        assert loader.libraries or loader.fork != "share", "a template that loads the model imports its library first"
