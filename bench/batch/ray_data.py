"""Ray Data: `ray_data.py MODEL INPUT OUTPUT CORES`: read, map_batches with the model in an actor a core, write.

Prints the records and the seconds from the first read to the last write, after Ray itself is up.
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
import ray
import xgboost

SHARE = {"num_cpus": 0.25}
"""Of Ray's count of cores, for each task and actor: what reads a large file, whole cores by default, and the actor that
takes its rows fit on one core together. What they really take, the system's scheduler decides."""


class Score:
    def __init__(self, model: str) -> None:
        self.booster: Any = xgboost.Booster({"nthread": 1})
        self.booster.load_model(model)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"prediction": self.booster.inplace_predict(rows_of(batch))}


def rows_of(batch: dict[str, Any]) -> Any:
    """Columns of CSV, or lines of JSON Lines: Ray's own reader of JSON takes objects alone."""
    if "text" in batch:
        return np.array([orjson.loads(line) for line in batch["text"]])
    return np.column_stack([batch[name] for name in batch])


def main(model: str, given: str, target: str, cores: int) -> None:
    library: Any = ray
    library.init(num_cpus=cores, logging_level="ERROR", include_dashboard=False)
    import pyarrow.csv  # noqa: PLC0415 (Ray's own)

    # A block a core: by default a file becomes many, each a task, and starting their processes takes most of the time.
    options: Any = {"ray_remote_args": SHARE, "override_num_blocks": cores}
    began = time.perf_counter()
    if given.endswith(".csv"):
        columns: Any = pyarrow.csv.ReadOptions(autogenerate_column_names=True)
        rows = library.data.read_csv(given, read_options=columns, **options)
    else:
        rows = library.data.read_text(given, **options)
    scored = rows.map_batches(Score, fn_constructor_args=(model,), batch_size=8000, concurrency=cores, **SHARE)
    scored.write_csv(target, ray_remote_args=SHARE)
    seconds = time.perf_counter() - began
    records = sum(part.read_bytes().count(b"\n") - 1 for part in Path(target).glob("*.csv"))
    print(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
