"""An autoencoder of dense layers on PyTorch: `python -m modelyard_worker.algorithms.autoencoder`.

It learns to give rows back through a narrow layer; rows unlike those it learned from come back badly, and the mean
square of that error is their score. Without labels it learns from every row. With labels (`label_size=1`, 1 for an
anomaly) it learns from those of label 0 alone, and the rows of `validation` with their labels choose the threshold.

The model is TorchScript, scaling and threshold included, so that it is served like any other.
"""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyTorch is in the job's environment.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false

import os
import sys
from typing import Any, Dict, Tuple

from modelyard_worker.algorithms.detection import best_threshold, measures
from modelyard_worker.algorithms.hyperparameters import Hyperparameter, Real, Whole, WholeNumbers
from modelyard_worker.algorithms.port import Algorithm, report, run
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table


class Autoencoder(Algorithm):
    name = "autoencoder"
    about = "Anomalies among rows, by how badly a narrow neural network gives them back; on PyTorch."
    label_sizes = ("0", "1")
    requirements = ("# torch-backend: cpu", "torch>=2.5", "numpy")
    model_file = "model.pt"
    hyperparameters = (
        Hyperparameter("hidden_units", WholeNumbers(), (32, 8), "Widths of the layers to the narrowest and back."),
        Hyperparameter("epochs", Whole(1, 100_000), 50, "How often every row is seen."),
        Hyperparameter("mini_batch_size", Whole(1), 64, "Rows of one step."),
        Hyperparameter("learning_rate", Real(above=0, high=1), 1e-3, "Of the optimizer, Adam."),
        Hyperparameter("patience", Whole(1), 10, "Epochs without a better loss on unseen rows before it ends."),
        Hyperparameter(
            "threshold_share", Real(above=0, high=1), 0.01,
            "Share of the rows of `train` above the threshold, where no labels choose it.",
        ),
        Hyperparameter("seed", Whole(0), 0, "Where random numbers begin."),
    )  # fmt: skip

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> None:
        import numpy as np
        import torch

        torch.manual_seed(values["seed"])
        normal = _normal_rows(tables["train"], "train")
        unseen = _normal_rows(tables["validation"], "validation") if "validation" in tables else normal
        mean, scale = normal.mean(axis=0), normal.std(axis=0)
        scale[scale < 1e-12] = 1.0
        network = _network(normal.shape[1], values["hidden_units"])
        _fit(network, (normal - mean) / scale, (unseen - mean) / scale, values)
        served = _served(network, mean, scale)
        scores = {name: _scores(served, table.features) for name, table in tables.items()}
        threshold, chosen = _threshold(tables, scores, values["threshold_share"])
        served.threshold.fill_(threshold)
        print(f"threshold: {threshold:.6g}, chosen by {chosen}", flush=True)
        found: Dict[str, float] = {"threshold": threshold}
        for name, table in tables.items():
            found.update(measures(name, scores[name], threshold, table.labels))
        report(found)
        scripted: Any = torch.jit.script(served)
        scripted.save(os.path.join(os.environ["SM_MODEL_DIR"], self.model_file))
        np.savetxt(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "scores-train.csv"), scores["train"], fmt="%.8g")


def _normal_rows(table: Table, channel: str) -> Any:
    import numpy as np

    rows = np.asarray(table.features, np.float32)
    if np.isnan(rows).any():
        raise BadInput(f"cannot train: channel {channel} has empty cells; fill them in first")
    if len(table.labels):
        rows = rows[np.asarray(table.labels) == 0]
    if not len(rows):
        raise BadInput(f"cannot train: channel {channel} has no row of label 0, which is what is learned")
    return rows


def _network(columns: int, widths: Tuple[int, ...]) -> Any:
    from torch import nn

    sizes = [columns, *widths, *widths[-2::-1], columns]
    layers: Any = []
    for place, before in enumerate(sizes[:-1]):
        layers += [nn.Linear(before, sizes[place + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _fit(network: Any, rows: Any, unseen: Any, values: Dict[str, Any]) -> None:
    """Leaves the network as it was when it gave unseen rows back best."""
    import torch

    data, check = torch.from_numpy(rows), torch.from_numpy(unseen)
    optimizer = torch.optim.Adam(network.parameters(), lr=values["learning_rate"])
    best, best_epoch, kept = float("inf"), 0, {}
    for epoch in range(values["epochs"]):
        network.train()
        total = 0.0
        for places in torch.randperm(len(data)).split(values["mini_batch_size"]):
            loss = ((network(data[places]) - data[places]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(places)
        network.eval()
        with torch.inference_mode():
            unseen_loss = float(((network(check) - check) ** 2).mean())
        report({"train-loss": total / len(data), "validation-loss": unseen_loss}, epoch)
        if unseen_loss < best:
            best, best_epoch = unseen_loss, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        elif epoch - best_epoch >= values["patience"]:
            break
    print(f"best epoch: {best_epoch}", flush=True)
    network.load_state_dict(kept)


def _served(network: Any, mean: Any, scale: Any) -> Any:
    """A module that takes rows and answers `score` and `anomaly`; a class made here because its base comes first."""
    import torch

    class Served(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
            self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
            self.register_buffer("threshold", torch.zeros(()))

        def forward(self, rows: torch.Tensor) -> Dict[str, torch.Tensor]:
            scaled = (rows - self.mean) / self.scale
            score = torch.mean((self.network(scaled) - scaled) ** 2, dim=1)
            return {"score": score, "anomaly": torch.ge(score, self.threshold).to(torch.int64)}

    return Served().eval()


def _scores(served: Any, features: Any) -> Any:
    import numpy as np
    import torch

    with torch.inference_mode():
        return served(torch.from_numpy(np.asarray(features, np.float32)))["score"].numpy()


def _threshold(tables: Dict[str, Table], scores: Dict[str, Any], share: float) -> Tuple[float, str]:
    import numpy as np

    for name in ("validation", "train"):
        truth = np.asarray(tables[name].labels) > 0 if name in tables else np.zeros(0, bool)
        if truth.any() and not truth.all():
            return best_threshold(scores[name], truth), f"the best F1 on {name}"
    return float(np.quantile(scores["train"], 1 - share)), f"a share of {share:g} of train"


if __name__ == "__main__":
    sys.exit(run(Autoencoder()))
