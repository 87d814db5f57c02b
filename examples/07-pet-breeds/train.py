"""Learns breeds from a folder of images for each. Not a line about metrics: the yard finds them in what is printed."""

# NumPy's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from network import Network
from pictures import read_folder

BATCH = 32
FIRST, SECOND = 0.9, 0.999
"""Adam's."""


def varied(images: Any, random: np.random.Generator) -> Any:
    """Each image as it is or in a mirror, and up to three pixels aside."""
    mirrored = np.where(random.random(len(images))[:, None, None, None] < 0.5, images, images[:, :, ::-1])
    moves = random.integers(-3, 4, (len(images), 2))
    return np.stack([np.roll(one, move, axis=(0, 1)) for one, move in zip(mirrored, moves, strict=True)])


def train(network: Network, images: Any, labels: Any, epochs: int, rate: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    mean = {name: np.zeros_like(weight) for name, weight in network.weights.items()}
    square = {name: np.zeros_like(weight) for name, weight in network.weights.items()}
    step = 0
    for epoch in range(1, epochs + 1):
        losses: list[float] = []
        for batch in np.array_split(random.permutation(len(images)), -(-len(images) // BATCH)):
            step += 1
            loss, gradients = network.gradients(varied(images[batch], random), labels[batch])
            losses.append(loss)
            for name, gradient in gradients.items():
                mean[name] += (1 - FIRST) * (gradient - mean[name])
                square[name] += (1 - SECOND) * (gradient**2 - square[name])
                corrected = np.sqrt(square[name] / (1 - SECOND**step)) + 1e-8
                network.weights[name] -= rate * mean[name] / (1 - FIRST**step) / corrected
        print(f"epoch {epoch} loss={np.mean(losses):.4f}", flush=True)


def accuracy(network: Network, images: Any, labels: Any, best: int) -> float:
    """The share of images whose breed is among the so many likeliest."""
    ranked = np.argsort(-network.shares(images), axis=1)[:, :best]
    return float((ranked == labels[:, None]).any(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    breeds, images, labels = read_folder(Path(os.environ["SM_CHANNEL_TRAIN"]))
    held_out = read_folder(Path(os.environ["SM_CHANNEL_TEST"]))
    network = Network.begin(len(breeds), given.seed)
    train(network, images, labels, given.epochs, given.rate, given.seed)
    print(f"accuracy on the {len(labels)} images it learned from: {accuracy(network, images, labels, 1):.3f}")
    for best in (1, 5):
        told = f"{accuracy(network, *held_out[1:], best):.3f}; by chance {min(1, best / len(breeds)):.3f}"
        print(f"top-{best} accuracy on {len(held_out[2])} held-out images: {told}")
    folder = Path(os.environ["SM_MODEL_DIR"])
    np.savez(folder / "weights.npz", **network.weights)  # pyright: ignore[reportArgumentType] (names of arrays)
    (folder / "breeds.json").write_text(json.dumps(breeds))


if __name__ == "__main__":
    main()
