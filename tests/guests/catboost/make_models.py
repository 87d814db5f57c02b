"""Writes what CatBoost writes: a regression, a classifier of words, one with categories."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import catboost
import numpy as np

folder = Path(sys.argv[1])
random = np.random.default_rng(0)
rows = random.normal(size=(300, 4))
targets = rows @ [1.0, -2.0, 3.0, 0.5]
words = np.array(["low", "middle", "high"])[np.digitize(targets, [-1, 1])]
asked = rows[:64]
quiet = {"iterations": 15, "verbose": False, "allow_writing_files": False, "thread_count": 2}

regression = catboost.CatBoostRegressor(**quiet).fit(rows, targets)
regression.save_model(folder / "model.cbm")
classifier = catboost.CatBoostClassifier(**quiet).fit(rows, words)
classifier.save_model(folder / "classes.cbm")

towns = np.array(["Bern", "Kiel", "Graz"])[random.integers(0, 3, 300)]
mixed = [[float(value), str(town)] for value, town in zip(rows[:, 0], towns, strict=True)]
prices = rows[:, 0] + (towns == "Bern") * 3
pool = catboost.Pool(mixed, prices, cat_features=[1], feature_names=["area", "town"])
homes = catboost.CatBoostRegressor(**quiet).fit(pool)
homes.save_model(folder / "homes.cbm")
homes_asked = [{"area": area, "town": town} for area, town in mixed[:8]]

cases = {
    "regression": ("model.cbm", asked.tolist(), regression.predict(asked)),
    "classes": ("classes.cbm", asked.tolist(), classifier.predict(asked)[:, 0]),
    "categories": ("homes.cbm", homes_asked, homes.predict(mixed[:8])),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "catboost", "ask": ask, "answer": answer.tolist()}
            for name, (file, ask, answer) in cases.items()
        }
    )
)
