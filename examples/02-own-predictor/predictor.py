"""Which cultivar a wine is of, and whether that is sure."""

# scikit-learn's and joblib's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from pydantic import BaseModel, Field


class Wine(BaseModel):
    """What is asked. The names and bounds are checked before `predict` is called, and make the endpoint's OpenAPI."""

    alcohol: float = Field(ge=0, le=100, description="percent by volume")
    malic_acid: float
    ash: float
    alcalinity_of_ash: float
    magnesium: float
    total_phenols: float
    flavanoids: float
    nonflavanoid_phenols: float
    proanthocyanins: float
    color_intensity: float
    hue: float
    od280_od315_of_diluted_wines: float
    proline: float


class Predictor:
    def __init__(self, config: dict[str, Any], model_dir: str) -> None:
        self.model = joblib.load(Path(model_dir) / "wine.joblib")
        self.sure = float(config["sure"])

    def predict(self, payload: Wine) -> dict[str, Any]:
        row = [getattr(payload, name) for name in Wine.model_fields]
        shares = self.model.predict_proba(np.array([row]))[0]
        best = int(np.argmax(shares))
        return {"cultivar": best, "probability": float(shares[best]), "sure": bool(shares[best] >= self.sure)}
