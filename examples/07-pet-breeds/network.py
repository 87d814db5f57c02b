"""A small convolutional network in NumPy, with every derivative written out: two convolutions, each halved, and a layer
of classes. Images are (count, 32, 32, 3), numbers from 0 to 1."""

# NumPy's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from typing import Any, cast

import numpy as np

SIDE = 32
CHANNELS = (3, 8, 16)
FLAT = CHANNELS[2] * (SIDE // 4) ** 2

Array = np.ndarray[Any, np.dtype[np.float32]]


class Network:
    """`weights` is all that is learned."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights

    @classmethod
    def begin(cls, classes: int, seed: int) -> "Network":
        """He's initialisation."""
        random = np.random.default_rng(seed)

        def matrix(rows: int, columns: int) -> Array:
            return (random.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(np.float32)

        weights = {
            "first": matrix(9 * CHANNELS[0], CHANNELS[1]),
            "second": matrix(9 * CHANNELS[1], CHANNELS[2]),
            "last": matrix(FLAT, classes),
            "bias": np.zeros(classes, np.float32),
        }
        return cls(weights)

    def shares(self, images: Array) -> Array:
        """Of each image, how likely each class is: they sum to one."""
        return self._forward(images)[-1]

    def _forward(self, images: Array) -> tuple[Any, ...]:
        first = _patches(images - 0.5)
        one = np.maximum(first @ self.weights["first"], 0)
        half, one_at = _halve(one)
        second = _patches(half)
        two = np.maximum(second @ self.weights["second"], 0)
        quarter, two_at = _halve(two)
        flat = quarter.reshape(len(images), -1)
        scores = flat @ self.weights["last"] + self.weights["bias"]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return first, one, one_at, second, two, two_at, flat, powers / powers.sum(axis=1, keepdims=True)

    def gradients(self, images: Array, labels: Any) -> tuple[float, dict[str, Array]]:
        """The mean cross-entropy, and which way each weight would raise it."""
        first, one, one_at, second, two, two_at, flat, shares = self._forward(images)
        rows = np.arange(len(labels))
        loss = float(-np.log(shares[rows, labels] + 1e-9).mean())
        scores = shares.copy()
        scores[rows, labels] -= 1
        scores /= len(labels)
        after_two = _double((scores @ self.weights["last"].T).reshape(_halved(two.shape)), two_at, two.shape) * (
            two > 0
        )
        half = _from_patches(after_two @ self.weights["second"].T)
        after_one = _double(half, one_at, one.shape) * (one > 0)
        return loss, {
            "first": _product(first, after_one),
            "second": _product(second, after_two),
            "last": flat.T @ scores,
            "bias": scores.sum(axis=0),
        }


def _patches(images: Array) -> Array:
    """The 3 by 3 neighbourhood of each pixel as a row, nought beyond the border: (count, side, side, 9 * channels)."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    side = images.shape[1]
    parts = [padded[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
    return np.concatenate(parts, axis=-1)


def _from_patches(patches: Array) -> Array:
    """What each pixel gets back from all the neighbourhoods that it is in."""
    count, side, _, width = patches.shape
    channels = width // 9
    padded = np.zeros((count, side + 2, side + 2, channels), np.float32)
    for place in range(9):
        y, x = divmod(place, 3)
        padded[:, y : y + side, x : x + side] += patches[..., place * channels : (place + 1) * channels]
    return padded[:, 1:-1, 1:-1]


def _halved(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    return shape[0], shape[1] // 2, shape[2] // 2, shape[3]


def _halve(images: Array) -> tuple[Array, Any]:
    """The largest of each 2 by 2 pixels, and which of them it was."""
    count, height, width, channels = _halved(images.shape)
    four = images.reshape(count, height, 2, width, 2, channels).transpose(0, 1, 3, 5, 2, 4)
    four = four.reshape(count, height, width, channels, 4)
    return four.max(axis=-1), four.argmax(axis=-1)


def _double(halved: Array, at: Any, shape: tuple[int, ...]) -> Array:
    """What `_halve` took, where it took it."""
    count, height, width, channels = _halved(shape)
    four = np.zeros((count, height, width, channels, 4), np.float32)
    np.put_along_axis(four, at[..., None], halved[..., None], axis=-1)
    four = four.reshape(count, height, width, channels, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return four.reshape(shape)


def _product(inputs: Array, outputs: Array) -> Array:
    return cast("Array", inputs.reshape(-1, inputs.shape[-1]).T @ outputs.reshape(-1, outputs.shape[-1]))
