"""Writes what LightGBM writes: a regression and a classifier of three classes."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import lightgbm
import numpy as np

folder = Path(sys.argv[1])
random = np.random.default_rng(0)
rows = random.normal(size=(300, 4))
rows[::7, 1] = np.nan
targets = np.nan_to_num(rows) @ [1.0, -2.0, 3.0, 0.5]
asked = rows[:64]

regression = lightgbm.train({"verbose": -1, "num_threads": 2}, lightgbm.Dataset(rows, targets), 20)
regression.save_model(folder / "model.txt")
classifier = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, np.digitize(targets, [-1, 1]))
classifier.booster_.save_model(folder / "classes.lgb")

asked_plain = [[None if np.isnan(value) else value for value in row] for row in asked.tolist()]
cases = {
    "regression": ("model.txt", regression.predict(asked)),
    "classes": ("classes.lgb", classifier.booster_.predict(asked)),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "lightgbm", "ask": asked_plain, "answer": answer.tolist()}
            for name, (file, answer) in cases.items()
        }
    )
)
