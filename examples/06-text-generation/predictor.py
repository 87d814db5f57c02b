"""Streams text after a prompt: each part of the answer leaves as soon as it is written."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from characters import CharacterModel

LENGTH_MAX = 5000


class Predictor:
    def __init__(self, config: dict[str, Any], model_dir: str) -> None:
        self.length = int(config.get("length", 300))
        with gzip.open(Path(model_dir) / "characters.json.gz", "rt") as file:
            found: dict[str, Any] = json.load(file)
        counts: dict[str, Counter[str]] = {context: Counter(after) for context, after in found["counts"].items()}
        self.model = CharacterModel(found["order"], counts)

    def predict(self, payload: dict[str, Any]) -> Iterator[str]:
        length = min(int(payload.get("length", self.length)), LENGTH_MAX)
        temperature, seed = float(payload.get("temperature", 0.8)), int(payload.get("seed", 0))
        return self.model.write(str(payload.get("prompt", "")), length, temperature, seed)
