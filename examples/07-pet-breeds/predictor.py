"""Which breed a pet in an image is of: the five likeliest, and how likely."""

# Pillow lives in the environment of the lesson; NumPy's values get their types only as they run.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
from pathlib import Path
from typing import Any

import numpy as np
from network import Network
from pictures import pixels
from PIL import Image


class Predictor:
    def __init__(self, config: dict[str, Any], model_dir: str) -> None:
        self.shown = int(config.get("shown", 5))
        self.breeds: list[str] = json.loads((Path(model_dir) / "breeds.json").read_text())
        self.network = Network(dict(np.load(Path(model_dir) / "weights.npz")))

    def predict(self, payload: Image.Image) -> list[dict[str, Any]]:
        shares = self.network.shares(pixels(payload)[None])[0]
        return [
            {"breed": self.breeds[place], "share": round(float(shares[place]), 4)}
            for place in np.argsort(-shares)[: self.shown]
        ]
