"""Which values of the two series are anomalies: the spikes from what a transform wrote, the others from the endpoint.

`show.py [FOLDER]`; the yard is the one that MODELYARD_HOME or MODELYARD_URL names.
"""

import sys
from pathlib import Path

import numpy as np

from modelyard import sdk


def main(folder: Path) -> None:
    spiky = np.loadtxt(folder / "data" / "spiky.csv")
    clusters = np.loadtxt(folder / "found" / "spiky.csv.out", delimiter=",", ndmin=2)[:, 0]
    tell("spiky", spiky, clusters == -1)
    seasonal = np.loadtxt(folder / "data" / "seasonal.csv")
    answer = sdk.predict("seasons", [seasonal.tolist()])
    tell("seasonal", seasonal, np.array(answer["anomaly"][0]) == 1)


def tell(name: str, values: np.ndarray, is_anomaly: np.ndarray) -> None:
    places = np.flatnonzero(is_anomaly)
    told = ", ".join(f"{values[place]:g} (value {place + 1})" for place in places)
    print(f"{name}: {len(places)} anomalies in {len(values)} values: {told}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
