"""Writes what Keras writes: rows in and out, an image, two inputs with two outputs."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

folder = Path(sys.argv[1])
keras.utils.set_random_seed(0)
layers = keras.layers
rows = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
images = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype("float32")

net = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")])
image = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()])
left, right = keras.Input((4,), name="left"), keras.Input((1,), name="right")
both = layers.Concatenate()([left, right])
two = keras.Model([left, right], [layers.Dense(1, name="price")(both), layers.Dense(2, name="kind")(both)])
for name, model in (("model", net), ("image", image), ("two", two)):
    model.save(folder / f"{name}.keras")

price, kind = two.predict_on_batch([rows, rows[:, :1]])
cases = {
    "rows": ("model.keras", rows.tolist(), net.predict_on_batch(rows).tolist()),
    "image": ("image.keras", images.tolist(), image.predict_on_batch(images).tolist()),
    "two-inputs": (
        "two.keras",
        {"inputs": {"left": rows.tolist(), "right": rows[:, :1].tolist()}},
        dict(zip(two.output_names, (price.tolist(), kind.tolist()), strict=True)),
    ),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "keras", "ask": ask, "answer": answer}
            for name, (file, ask, answer) in cases.items()
        }
    )
)
