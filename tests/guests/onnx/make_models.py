"""Writes ONNX models: an estimator, a classifier with two outputs, several inputs, one row at a time."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

folder = Path(sys.argv[1])
rows, targets = load_iris(return_X_y=True)
rows = rows.astype(np.float32)
asked = rows[::3]


def save(name, model):
    (folder / name).write_bytes(model.SerializeToString())
    return onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])


def graph(nodes, inputs, outputs):
    made = helper.make_graph(nodes, "graph", inputs, outputs)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tensor(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


regressor = save("model.onnx", to_onnx(RandomForestRegressor(10).fit(rows, targets), rows[:1]))
classifier = save("classes.onnx", to_onnx(RandomForestClassifier(10).fit(rows, targets), rows[:1]))
labels, probabilities = classifier.run(None, {"X": asked})

ids = np.arange(12, dtype=np.int64).reshape(4, 3)
mask = np.ones((4, 3), dtype=np.float32)
several = save(
    "several.onnx",
    graph(
        [
            helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["numbers", "mask"], ["scaled"]),
        ],
        [tensor("ids", TensorProto.INT64, ["n", 3]), tensor("mask", TensorProto.FLOAT, ["n", 3])],
        [tensor("scaled", TensorProto.FLOAT, ["n", 3])],
    ),
)
images = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
pooled = save(
    "single.onnx",
    graph(
        [helper.make_node("GlobalAveragePool", ["image"], ["mean"])],
        [tensor("image", TensorProto.FLOAT, [1, 3, 4, 4])],
        [tensor("mean", TensorProto.FLOAT, [1, 3, 1, 1])],
    ),
)

cases = {
    "regression": ("model.onnx", asked.tolist(), regressor.run(None, {"X": asked})[0].tolist()),
    "classes": (
        "classes.onnx",
        asked.tolist(),
        {
            "output_label": labels.tolist(),
            "output_probability": [{str(key): value for key, value in one.items()} for one in probabilities],
        },
    ),
    "several-inputs": (
        "several.onnx",
        {"inputs": {"ids": ids.tolist(), "mask": mask.tolist()}},
        several.run(None, {"ids": ids, "mask": mask})[0].tolist(),
    ),
    "one-row-at-a-time": (
        "single.onnx",
        {"instances": images.tolist()},
        [pooled.run(None, {"image": one[None]})[0][0].tolist() for one in images],
    ),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "onnx", "ask": ask, "answer": answer}
            for name, (file, ask, answer) in cases.items()
        }
    )
)
