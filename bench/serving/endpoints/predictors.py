"""The predictors of the benchmark, as a user would write them; `work.py` lies beside, as a user's own module does."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import work  # pyright: ignore[reportMissingImports] (bench.serving.work, copied beside this file)


class Batch:
    def __init__(self) -> None:
        self.predict_rows: Any = work.load_work("batch", Path())

    def predict_batch(self, payloads: list[np.ndarray]) -> list[Any]:
        return [[value] for value in self.predict_rows(np.concatenate(payloads)).tolist()]


class Floats:
    def predict(self, payload: np.ndarray) -> np.ndarray:
        return payload.mean(axis=1)


class Constant:
    def predict(self, payload: Any) -> list[int]:
        return [0]


class Stream:
    def predict(self, payload: Any) -> Generator[str]:
        yield from work.parts()
