"""`python -m bench.batch`: a million CSV rows and a hundred thousand JSON lines through XGBoost.

In turns on the same cores: the bare model in a loop over pieces of the same size, a batch transform with one process
and with two, Ray Data, and `mlflow models predict`. Every output is compared with the bare loop's, number by number and
in its order; Ray Data's parts have none.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.batch.measuring import Failed, Measured, measure
from bench.environments import CannotBuild, environment_python

HERE = Path(__file__).parent
WORKER = HERE.parents[1] / "modelyard-worker" / "src"
RESULTS = HERE.parent / "results" / "batch.json"
PIECE_BYTES = 2**20
"""What a transform takes for a piece by itself."""
DATA = ("rows.csv", "lines.jsonl")
RATIO_MIN = 0.7
TOLERANCE = 1e-5
"""Of a prediction, beside it: some write a number of 32 bits with as few digits as tell it, others all of 64 bits."""
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Figure:
    who: str
    data: str
    cores: int
    records: int
    seconds: float
    """Of reading, parsing, predicting and writing, without start and imports where the contestant tells."""
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    same: bool
    """Whether it answered what the bare loop did."""

    @property
    def rate(self) -> float:
        return self.records / self.seconds


class Bench:
    def __init__(self, folder: Path, cores: list[int]) -> None:
        self.folder = folder
        self.cores = cores
        self.python = environment_python(HERE / "peers" / "fastest")
        self.figures: list[Figure] = []
        self.absent: dict[str, str] = {}

    def make(self, rows: int, lines: int) -> None:
        measure([self.python, HERE / "make.py", self.folder, str(rows), str(lines)], self.cores, {})
        package = self.folder / "package"
        (package / "code").mkdir(parents=True)
        (package / "model").mkdir()
        (package / "model" / "model.ubj").write_bytes((self.folder / "model.ubj").read_bytes())
        model = {"name": "bench", "version": 1, "framework": "xgboost", "file": "model.ubj"}
        document = {"format": 1, "predictor": None, "model": model, "libraries": ["xgboost"]}
        (package / "package.json").write_text(json.dumps(document))
        for name, count in (("rows.csv", rows), ("lines.jsonl", lines)):
            with (self.folder / name).open("rb") as source, (self.folder / f"tenth-{name}").open("wb") as target:
                target.writelines(line for _, line in zip(range(count // 10), source, strict=False))

    def bare(self, data: str) -> Figure:
        target = self.folder / f"bare-{data}"
        command = [self.python, HERE / "bare.py", self.folder / "model.ubj", self.folder / data, target]
        measured = measure([*command, str(PIECE_BYTES)], self.cores[:1], _one_thread())
        return self._take("bare loop", data, 1, measured, measured.said, target)

    def transform(self, data: str, processes: int) -> Figure:
        base = self.folder / f"transform-{data}-{processes}"
        base.mkdir()
        plan = {"name": "bench", "package": str(self.folder / "package"), "input": str(self.folder / data)}
        (base / "plan.json").write_text(json.dumps({**plan, "output": str(base / "out"), "processes": processes}))
        command = [self.python, "-m", "modelyard_worker.transform", base]
        measured = measure(command, self.cores[:processes], {**_one_thread(), "PYTHONPATH": str(WORKER)})
        said = json.loads((base / "result.json").read_text())
        return self._take("transform", data, processes, measured, said, base / "out" / f"{data}.out")

    def ray(self, data: str, cores: int) -> Figure:
        python = environment_python(HERE / "peers" / "ray")
        target = self.folder / f"ray-{data}-{cores}"
        command = [python, HERE / "ray_data.py", self.folder / "model.ubj", self.folder / data, target, str(cores)]
        measured = measure(command, self.cores[:cores], _one_thread())
        return self._take("Ray Data", data, cores, measured, measured.said, target)

    def mlflow(self, data: str) -> Figure:
        python = environment_python(HERE / "peers" / "mlflow")
        folder, target = self.folder / "mlflow", self.folder / f"mlflow-{data}.out"
        tracking = {"MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db"}
        if not folder.exists():
            measure([python, HERE / "mlflow_model.py", self.folder / "model.ubj", folder], self.cores[:1], tracking)
        given, kind = self._as_mlflow_reads(data)
        command = [python, "-m", "mlflow", "models", "predict", "-m", folder, "-i", given, "-o", target, "-t", kind]
        measured = measure([*command, "--env-manager", "local"], self.cores[:1], {**_one_thread(), **tracking})
        records = (self.folder / data).read_bytes().count(b"\n")
        return self._take("mlflow models predict", data, 1, measured, {"records": records}, target)

    def _as_mlflow_reads(self, data: str) -> tuple[Path, str]:
        """CSV with a header; of JSON one document, because it takes no lines."""
        if data.endswith(".csv"):
            given = self.folder / f"with-header-{data}"
            header = ",".join(f"f{place}" for place in range(13)).encode() + b"\n"
            given.write_bytes(header + (self.folder / data).read_bytes())
            return given, "csv"
        given = self.folder / f"document-{data}.json"
        lines = (self.folder / data).read_bytes().splitlines()
        given.write_bytes(b'{"inputs": [' + b",".join(lines) + b"]}")
        return given, "json"

    def run(self, what: str, *arguments: Any) -> None:
        try:
            figure = getattr(self, what)(*arguments)
        except (Failed, CannotBuild) as error:
            self.absent[" ".join(map(str, (what, *arguments)))] = str(error)
            print(f"{what:<22} {arguments[0]:<12} not measured: {error}", flush=True)
            return
        print(
            f"{figure.who:<22} {figure.data:<12} {figure.cores} core{'s' if figure.cores > 1 else ' '}"
            f" {figure.rate:>10,.0f} records/s {figure.seconds:>7.2f} s, with start "
            f"{figure.wall_seconds:.2f} s, {figure.cpu_seconds:.2f} s CPU, {figure.peak_mib:>6.0f} MiB peak  "
            f"{'same' if figure.same else 'OTHER ANSWERS'}",
            flush=True,
        )

    def _take(self, who: str, data: str, cores: int, measured: Measured, said: dict[str, Any], target: Path) -> Figure:
        seconds = float(said.get("seconds") or measured.wall_seconds)
        same = who == "bare loop" or _same(self.folder / f"bare-{data}", target, in_order=who != "Ray Data")
        figure = Figure(
            who,
            data,
            cores,
            int(said["records"]),
            seconds,
            measured.wall_seconds,
            measured.cpu_seconds,
            measured.peak_bytes / MIB,
            same,
        )
        self.figures.append(figure)
        return figure

    def rate(self, who: str, data: str, cores: int) -> float:
        return self._of(who, data, cores).rate

    def cpu_us(self, who: str, data: str) -> float:
        """CPU time of one more record on one core: the whole less its tenth, so that start and imports fall out."""
        whole, tenth = (self._of(who, part, 1) for part in (data, f"tenth-{data}"))
        return 1e6 * (whole.cpu_seconds - tenth.cpu_seconds) / (whole.records - tenth.records)

    def _of(self, who: str, data: str, cores: int) -> Figure:
        return next(one for one in self.figures if (one.who, one.data, one.cores) == (who, data, cores))

    def peak(self, who: str, data: str) -> float:
        return self._of(who, data, 1).peak_mib


def _one_thread() -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _same(wanted: Path, target: Path, *, in_order: bool) -> bool:
    """Whether a contestant's predictions are the bare loop's."""
    one, other = _numbers(wanted), _numbers(target)
    if not in_order:
        one, other = np.sort(one), np.sort(other)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))


def _numbers(target: Path) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The predictions in what a contestant wrote: a line each, with a header or without; MLflow's document."""
    places = sorted(target.glob("*.csv")) if target.is_dir() else [target]
    found: list[float] = []
    for place in places:
        text = place.read_text()
        if text.startswith("{"):
            found += json.loads(text)["predictions"]
        else:
            found += [float(line) for line in text.splitlines() if line and not line.startswith('"')]
    return np.array(found, dtype=np.float64)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.batch")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--without-peers", action="store_true", help="the transform and the bare loop alone")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
        bench = Bench(Path(folder), cores)
        bench.make(given.rows, given.lines)
        for data in DATA:
            for part in (f"tenth-{data}", data):
                bench.run("bare", part)
                bench.run("transform", part, 1)
            bench.run("transform", data, len(cores))
        if not given.without_peers:
            for data in DATA:
                bench.run("ray", data, 1)
                bench.run("mlflow", data)
            bench.run("ray", "rows.csv", len(cores))
    return _conclude(bench, len(cores))


def _conclude(bench: Bench, cores: int) -> int:
    costs = {data: {who: bench.cpu_us(who, data) for who in ("bare loop", "transform")} for data in DATA}
    ratios = {data: cost["bare loop"] / cost["transform"] for data, cost in costs.items()}
    gains = {data: bench.rate("transform", data, cores) / bench.rate("transform", data, 1) for data in DATA}
    growth = bench.peak("transform", "rows.csv") / bench.peak("transform", "tenth-rows.csv")
    print()
    for data, ratio in ratios.items():
        cost = costs[data]
        print(f"{data}: {cost['transform']:.2f} us of CPU a record, the bare loop {cost['bare loop']:.2f}: {ratio:.2f}")
        print(f"{data}: {gains[data]:.2f} times as fast on {cores} cores as on one")
    print(f"peak memory with ten times the rows: {growth:.2f} times as much")
    peers = _beside_peers(bench)
    for (who, data, cores_of), ratio in peers.items():
        print(f"{data}: {ratio:,.1f} times the records/s of {who} on {cores_of} core{'s' if cores_of > 1 else ''}")
    document = {
        "figures": [
            {**{name: getattr(one, name) for name in Figure.__dataclass_fields__}, "rate": one.rate}
            for one in bench.figures
        ],
        "absent": bench.absent,
        "cpu_us_per_record": costs,
        "ratios": ratios,
        "gains": gains,
        "memory_growth": growth,
        "of_peers": [
            {"who": who, "data": data, "cores": count, "ratio": one} for (who, data, count), one in peers.items()
        ],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    missed = [data for data, ratio in ratios.items() if ratio < RATIO_MIN]
    if missed or not all(one.same for one in bench.figures):
        print(f"missed: at least {RATIO_MIN} of the bare loop, with the same answers")
        return 1
    return 0


def _beside_peers(bench: Bench) -> dict[tuple[str, str, int], float]:
    """The transform's records/s over each peer's with as many cores, both with the start of their processes."""
    whole = {(one.who, one.data, one.cores): one.records / one.wall_seconds for one in bench.figures}
    peers = [key for key in whole if key[0] not in ("bare loop", "transform")]
    return {(who, data, count): whole["transform", data, count] / whole[who, data, count] for who, data, count in peers}


if __name__ == "__main__":
    sys.exit(main())
