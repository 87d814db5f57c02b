"""The bare model in a loop: `bare.py MODEL INPUT OUTPUT BYTES`. Reads, parses by polars or orjson, predicts, writes.

Pieces have as many bytes as a transform's. Prints the records and the seconds of the loop alone, without imports.
"""

# What it imports is in an environment of its own, where its values get their types only as they run.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import xgboost


def main(model: str, given: Path, target: Path, size: int) -> None:
    library: Any = pl
    booster: Any = xgboost.Booster({"nthread": 1})
    booster.load_model(model)
    features = booster.num_features()
    schema = {f"f{place}": library.Float64 for place in range(features)}

    def from_csv(piece: bytes) -> Any:
        return library.read_csv(piece, has_header=False, schema=schema).to_numpy()

    def from_lines(piece: bytes) -> Any:
        return np.array([orjson.loads(line) for line in piece.split(b"\n") if line])

    parse = from_csv if given.suffix == ".csv" else from_lines
    parse(b"0" + b",0" * (features - 1) + b"\n") if parse is from_csv else None
    records, began = 0, time.perf_counter()
    with given.open("rb") as source, target.open("wb") as written:
        rest = b""
        while block := source.read(size):
            whole, _, rest_of_line = (rest + block).rpartition(b"\n")
            rest = rest_of_line
            predicted = booster.inplace_predict(parse(whole + b"\n"))
            written.write("\n".join(map(str, predicted.tolist())).encode() + b"\n")
            records += len(predicted)
    print(json.dumps({"records": records, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
