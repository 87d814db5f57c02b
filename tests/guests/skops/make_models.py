"""Writes what skops writes: a pipeline of trusted types, and one with a function of the user's own."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

folder = Path(sys.argv[1])
rows, targets = load_iris(return_X_y=True)
asked = rows[::3]


class Doubling(FunctionTransformer):
    def transform(self, X):  # noqa: N803 (scikit-learn's name)
        return np.asarray(X) * 2


trusted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, targets)
own = make_pipeline(Doubling(), LogisticRegression(max_iter=500)).fit(rows, targets)
vectors = SVC().fit(rows, targets)
skops.io.dump(trusted, folder / "model.skops")
skops.io.dump(own, folder / "own.skops")
skops.io.dump(vectors, folder / "vectors.skops")

(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "skops", "ask": asked.tolist(), "answer": model.predict(asked).tolist()}
            for name, file, model in (
                ("pipeline", "model.skops", trusted),
                ("vectors", "vectors.skops", vectors),
                ("own-type", "own.skops", own),
            )
        }
    )
)
