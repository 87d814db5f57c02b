"""`python -m bench.batch`: a million CSV rows and a hundred thousand JSON lines through XGBoost.

In turns on the same cores: the bare model in a loop over pieces of the same size, a batch transform with one process
and with two, Ray Data, and `mlflow models predict`. Every output is compared with the bare loop's, number by number.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.batch.measuring import Failed, Measured, measure
from bench.environments import CannotBuild, environment_python

HERE = Path(__file__).parent
WORKER = HERE.parents[1] / "modelyard-worker" / "src"
RESULTS = HERE.parent / "results" / "batch.json"
PIECE_BYTES = 2**20
"""What a transform takes for a piece by itself."""
DATA = ("rows.csv", "lines.jsonl")
RATIO_MIN = 0.7
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
        target = self.folder / f"ray-{cores}"
        command = [python, HERE / "ray_data.py", self.folder / "model.ubj", self.folder / data, target, str(cores)]
        measured = measure(command, self.cores[:cores], _one_thread())
        return self._take("Ray Data", data, cores, measured, measured.said, target)

    def mlflow(self, data: str) -> Figure:
        python = environment_python(HERE / "peers" / "mlflow")
        folder, target = self.folder / "mlflow", self.folder / "mlflow.out"
        tracking = {"MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db"}
        measure([python, HERE / "mlflow_model.py", self.folder / "model.ubj", folder], self.cores[:1], tracking)
        header = ",".join(f"f{place}" for place in range(13)).encode() + b"\n"
        given = self.folder / "with-header.csv"
        given.write_bytes(header + (self.folder / data).read_bytes())
        command = [python, "-m", "mlflow", "models", "predict", "-m", folder, "-i", given, "-o", target, "-t", "csv"]
        measured = measure([*command, "--env-manager", "local"], self.cores[:1], {**_one_thread(), **tracking})
        records = (self.folder / data).read_bytes().count(b"\n")
        return self._take("mlflow models predict", data, 1, measured, {"records": records}, target)

    def run(self, what: str, *arguments: Any) -> None:
        try:
            figure = getattr(self, what)(*arguments)
        except (Failed, CannotBuild) as error:
            self.absent[what] = str(error)
            print(f"{what:<22} not measured: {error}")
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
        same = who == "bare loop" or _numbers(target) == _numbers(self.folder / f"bare-{data}")
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


def _numbers(target: Path) -> list[float]:
    """Predictions rounded to what every writer keeps; of Ray Data's parts all together, in no order."""
    places = sorted(target.glob("*.csv")) if target.is_dir() else [target]
    found: list[float] = []
    for place in places:
        lines = place.read_text().split()
        found += [round(float(line.rpartition(",")[2]), 3) for line in lines if line[-1:].isdigit()]
    return sorted(found)


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
            bench.run("ray", "rows.csv", 1)
            bench.run("ray", "rows.csv", len(cores))
            bench.run("mlflow", "rows.csv")
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
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    missed = [data for data, ratio in ratios.items() if ratio < RATIO_MIN]
    if missed or not all(one.same for one in bench.figures):
        print(f"missed: at least {RATIO_MIN} of the bare loop, with the same answers")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
