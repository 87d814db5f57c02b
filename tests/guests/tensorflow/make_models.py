"""Writes what TensorFlow writes: a SavedModel of rows, one of words; and Keras's own file, which it computes."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

folder = Path(sys.argv[1])
keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
net.save(folder / "model.keras")
net.export(folder / "exported", verbose=False)


class Words(tf.Module):
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None, 2], tf.int64, "counts")]
    )
    def __call__(self, text, counts):
        return {"upper": tf.strings.upper(text), "sum": tf.reduce_sum(counts, axis=1)}


words = Words()
tf.saved_model.save(words, folder / "words", signatures=words.__call__)
answer = net.predict_on_batch(rows).tolist()
cases = {
    "saved-model": ("exported", "tensorflow", rows.tolist(), answer),
    "saved-model-of-words": (
        "words",
        "tensorflow",
        [{"text": "one", "counts": [1, 2]}, {"text": "two", "counts": [3, 4]}],
        {"sum": [3, 7], "upper": ["ONE", "TWO"]},
    ),
    "keras": ("model.keras", "keras", rows.tolist(), answer),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": framework, "ask": ask, "answer": answer}
            for name, (file, framework, ask, answer) in cases.items()
        }
    )
)
