"""Model files without code: what they read and answer, and that a batch changes no answer."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, cast

import joblib
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from tests.contract.worker.replica_harness import Client, Place, Template, a_place

X, Y = cast("Any", load_iris(return_X_y=True))
A, B = cast("Any", load_diabetes(return_X_y=True))


def npy(array: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def lines(rows: Any) -> bytes:
    target = io.StringIO()
    csv.writer(target).writerows(np.asarray(rows).tolist())
    return target.getvalue().encode()


@pytest.fixture(scope="module")
def iris(template: Template) -> Iterator[Client]:
    """A logistic regression on iris, served."""
    with a_place() as place:
        path = place.root / "model.joblib"
        joblib.dump(LogisticRegression(max_iter=500).fit(X, Y), path)
        with template.replica(place, place.package(model=path, framework="sklearn")) as replica:
            yield replica.connect()


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"[[5.1,3.5,1.4,0.2]]", "application/json", [0]),
        (b"[5.1,3.5,1.4,0.2]", "application/json; charset=utf-8", [0]),
        (b'{"instances": [[5.1,3.5,1.4,0.2],[6.7,3.0,5.2,2.3]]}', "application/json", [0, 2]),
        (b'{"inputs": [6.7,3,5.2,2.3]}', "application/json", [2]),
        (b"[[5.1,3.5,1.4,0.2]]", "", [0]),
        (b"[[5.1,3.5,1.4,0.2]]", "application/x-www-form-urlencoded", [0]),
        (b"5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n", "text/csv", [0, 2]),
        (b"5.1,3.5,1.4,0.2\r\n6.7,3.0,5.2,2.3", "text/csv", [0, 2]),
        (npy(X[[0, 149]]), "application/x-npy", [0, 2]),
        (npy(X[0].astype(np.float32)), "application/x-npy", [0]),
    ],
)
def test_every_form_of_rows_is_read(iris: Client, body: bytes, content_type: str, expected: list[int]) -> None:
    answer = iris.ask(body, content_type)
    assert (answer.status, answer.meta["type"]) == (200, "application/json")
    assert answer.body == json.dumps(expected, separators=(",", ":")).encode()


def test_answers_are_written_as_they_are_accepted(iris: Client) -> None:
    rows = X[[0, 149]].tolist()
    assert iris.ask(rows, accept="text/csv").body == b"0\n2"
    assert np.load(io.BytesIO(iris.ask(rows, accept="application/x-npy").body)).tolist() == [0, 2]
    assert iris.ask(rows, accept="text/html, */*;q=0.1").json == [0, 2]
    refused = iris.ask(rows, accept="image/png")
    assert refused.status == 406
    assert "application/json, text/csv, application/x-npy" in refused.meta["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (b"", "application/json", "cannot read the body as JSON"),
        (b"{", "application/json", "cannot read the body as JSON"),
        (b"[]", "application/json", "it has no row"),
        (b"[[]]", "application/json", "row 0: it has 0 values instead of 4"),
        (b'{"instances": []}', "application/json", "it has no row"),
        (b"7", "application/json", "rows are a list of lists of numbers, not 7"),
        (b'{"rows": [[1]]}', "application/json", "under 'instances' or 'inputs'"),
        (b"[[1,2,3]]", "application/json", "row 0: it has 3 values instead of 4"),
        (b"[[1,2,3,4],[1,2]]", "application/json", "row 1: it has 2 values instead of 4"),
        (b"[[1,2,3,4],5]", "application/json", "row 1: 5 is not a list of numbers"),
        (b'[[1,2,"three",4]]', "application/json", "row 0, column 2: 'three' is not a number"),
        (b"[[1,2,[3],4]]", "application/json", "row 0, column 2: a list is not a number"),
        (b"1,2,3\n", "text/csv", "row 0: it has 3 values instead of 4"),
        (b"a,b,c,d\n1,2,3,4\n", "text/csv", "row 0, column 0: 'a' is not a number (rows have no header)"),
        (b"\xff\xfe", "text/csv", "cannot read the body as UTF-8"),
        (b"nonsense", "application/x-npy", "cannot read the body as NPY"),
        (npy(np.zeros((1, 2, 2))), "application/x-npy", "shape (1, 2, 2)"),
        (npy(np.array([["a"] * 4])), "application/x-npy", "as rows of numbers"),
    ],
)
def test_a_bad_body_is_refused_with_what_is_wrong(iris: Client, body: bytes, content_type: str, told: str) -> None:
    answer = iris.ask(body, content_type)
    assert (answer.status, answer.meta["error"]) == (400, "invalid_value")
    assert told in answer.meta["message"]


def test_an_unknown_content_type_is_refused_with_the_known_ones(iris: Client) -> None:
    answer = iris.ask(b"x", "application/pdf")
    assert answer.status == 415
    assert "application/json, text/csv, application/x-npy, " in answer.meta["message"]


def test_brackets_of_one_caller_never_reach_into_anothers_request(iris: Client) -> None:
    one = json.dumps(X[0].tolist()).encode()
    answers = iris.ask_together([b"[[5,3,1,0]],[[0,0,0,0]", one, b"[0,0,0,0]],[7,7,7,7]"])
    assert [answer.status for answer in answers] == [400, 200, 400]
    assert answers[1].json == [0]


def _regressions() -> dict[str, tuple[str, Any]]:
    booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(A, B), 30)
    return {
        "booster": ("xgboost", booster),
        "trees": ("sklearn", HistGradientBoostingRegressor().fit(A, B)),
    }


@pytest.mark.parametrize("name", ["booster", "trees"])
def test_an_answer_is_the_same_bytes_alone_and_in_a_batch(place: Place, template: Template, name: str) -> None:
    framework, model = _regressions()[name]
    path = place.root / ("model.ubj" if framework == "xgboost" else "model.joblib")
    if framework == "xgboost":
        model.save_model(path)
    else:
        joblib.dump(model, path)
    with template.replica(place, place.package(model=path, framework=framework)) as replica:
        client = replica.connect()
        rows = [json.dumps([row]).encode() for row in A[:32].tolist()]
        alone = [client.ask(row).body for row in rows]
        together = [answer.body for answer in client.ask_together(rows)]
        some = [json.dumps(A[begin : begin + 3].tolist()).encode() for begin in range(0, 30, 3)]
        assert together == alone
        assert [answer.json for answer in client.ask_together(some)] == [
            [json.loads(one)[0] for one in alone[begin : begin + 3]] for begin in range(0, 30, 3)
        ]


def test_missing_values_reach_the_model_as_nan(place: Place, template: Template) -> None:
    rows = A[:4].copy()
    rows[:, 2] = np.nan
    booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(A, B), 30)
    path = place.root / "model.ubj"
    booster.save_model(path)
    expected = booster.predict(xgboost.DMatrix(rows)).tolist()
    with template.replica(place, place.package(model=path, framework="xgboost")) as replica:
        client = replica.connect()
        assert client.ask(json.dumps(rows.tolist()).replace("NaN", "null").encode()).json == expected
        assert client.ask(lines(rows).replace(b"nan", b""), "text/csv").json == expected


def test_probabilities_are_a_list_for_each_row(place: Place, template: Template) -> None:
    model = xgboost.XGBClassifier(n_estimators=5).fit(X, Y)
    path = place.root / "model.json"
    model.save_model(path)
    with template.replica(place, place.package(model=path, framework="xgboost")) as replica:
        client = replica.connect()
        expected = model.get_booster().predict(xgboost.DMatrix(X[:2]))
        assert client.ask(X[:2].tolist()).json == expected.tolist()
        assert len(client.ask(X[:2].tolist(), accept="text/csv").body.split(b"\n")[0].split(b",")) == 3


def test_labels_may_be_words(place: Place, template: Template) -> None:
    words = np.array(["setosa", "versi,color", "virginica"])[Y]
    path = place.root / "model.joblib"
    joblib.dump(LogisticRegression(max_iter=500).fit(X, words), path)
    with template.replica(place, place.package(model=path, framework="sklearn")) as replica:
        client = replica.connect()
        assert client.ask([X[0].tolist(), X[60].tolist()]).json == ["setosa", "versi,color"]
        assert client.ask([X[0].tolist(), X[60].tolist()], accept="text/csv").body == b'setosa\n"versi,color"'


def test_a_framework_that_was_not_named_is_recognised(place: Place, template: Template) -> None:
    path = place.root / "xgboost-model"
    raw = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(A, B), 3).save_raw("ubj")
    path.write_bytes(raw)
    with template.replica(place, place.package(model=path)) as replica:
        assert replica.connect().ask(A[:1].tolist()).status == 200


@pytest.mark.parametrize(
    ("framework", "content", "told"),
    [
        ("xgboost", b"\x80\x04K\x01.", "it is a Python pickle or joblib file, not an XGBoost model"),
        ("xgboost", b"a,b\n1,2\n", "it is a text file, not an XGBoost model"),
        ("xgboost", b'{"learner": 3}', "XGBoost 3"),
        ("xgboost", b"binf\x00\x00", "old binary format"),
        ("xgboost", b"", "it is empty or not readable"),
        ("sklearn", b"\x80\x04}.", "an object of type builtins.dict, which has no predict method"),
        ("sklearn", b"\x80\x04cnowhere\nThing\n.", "it needs the module nowhere, which is not installed"),
        ("sklearn", b"a,b\n1,2\n", "it is a text file"),
        ("prophet", b"x", "cannot load a model of framework 'prophet': known are builtin, catboost, keras, lightgbm, "),
        (None, b"PK\x03\x04", "it is a zip archive"),
    ],
)
def test_a_wrong_file_is_refused_by_what_it_is(
    place: Place, template: Template, framework: str | None, content: bytes, told: str
) -> None:
    path = place.root / "model.bin"
    path.write_bytes(content)
    with template.replica(place, place.package(model=path, framework=framework)) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert "cannot load" in reason
        assert told in reason


def test_loading_a_pickle_is_said_in_the_log(place: Place, template: Template) -> None:
    path = place.root / "model.joblib"
    joblib.dump(Ridge().fit(A, B), path)
    with template.replica(place, place.package(model=path, framework="sklearn")) as replica:
        replica.connect()
        assert "a joblib file, which is a pickle, runs the code that it names" in replica.output
