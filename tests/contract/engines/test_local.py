"""What only real processes can show: templates, refusals to fork, and what an engine leaves on disk."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest
from modelyard_worker.records import boot_id, write_json

from modelyard.domain.endpoints import EndpointSpec
from modelyard.engines.local.processes import is_secret_of_the_yard, worker_environment
from modelyard.engines.local.replicas import ENGINE
from modelyard.engines.ports import ReplicaSight
from modelyard.errors import StartFailed
from tests.contract.engines.harness import LIMIT_SECONDS, LocalHarness, RunLocal, gone, order, sight, until
from tests.contract.engines.memory_group import memory_group

NAME = "iris-1-aa"

RAISES = "class Predictor:\n    def __init__(self, config):\n        raise RuntimeError('no such word')\n"

HANGS_WHEN_FORKED = """
import os, time
import modelyard_worker.template as _  # there in a fork of a template
class Predictor:
    def __init__(self, config):
        while True: time.sleep(1)
"""

WITH_THREADS = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"

MODEL_BYTES = 32 * 2**20

READS_ALL = """
class Predictor:
    def __init__(self, config, model):
        self.total = float(model.coef.sum())

    def predict(self, payload):
        return self.total
"""


def test_replicas_are_forked_and_what_they_print_can_be_read(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        code = "class Predictor:\n    def __init__(self, config):\n        print('one\\ntwo')\n    predict = print\n"
        await harness.engine.start_replica(harness.replica_order(code=code))
        await harness.engine.probe_replica(NAME, 20.0)
        found = sight(harness.engine, NAME)
        assert (found.forked, found.why_fresh) == (True, None)
        (template,) = harness.templates().values()
        assert harness.process("replicas", NAME).ppid() == template.pid
        await until(lambda: harness.engine.output_tail(NAME, 1) == "two\n")
        harness.engine.add_to_output(NAME, "killed: nobody wanted it")
        harness.engine.add_to_output("nobody", "killed: it was not there")
        assert harness.engine.output_tail(NAME, 2) == "two\nkilled: nobody wanted it\n"

    run_local(story)


def test_a_start_that_fails_says_the_exception(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order(code=RAISES))
        assert not (await harness.engine.probe_replica(NAME, 20.0)).ok
        await until(lambda: not sight(harness.engine, NAME).alive)
        found = sight(harness.engine, NAME)
        assert (found.exit_code, found.reason) == (1, "RuntimeError: no such word")
        assert "Traceback" in harness.engine.output_tail(NAME)

    run_local(story)


def test_a_fresh_process_is_started_where_the_order_says_so(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.fresh_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        found = sight(harness.engine, NAME)
        assert (found.forked, found.why_fresh) == (False, "it was asked for")
        assert harness.templates() == {}
        await harness.kill_replica(NAME)
        await until(lambda: not sight(harness.engine, NAME).alive)
        assert sight(harness.engine, NAME).exit_code == -9

    run_local(story)


def test_where_the_template_refuses_to_fork_a_fresh_process_says_why(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        package = harness.package(libraries=("threaded",))
        (Path(package) / "code" / "threaded.py").write_text(WITH_THREADS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{package}/code")
            await harness.engine.start_replica(order(package=package))
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        found = sight(harness.engine, NAME)
        assert (found.forked, found.why_fresh) == (False, "threads exist: 2")

    run_local(story)


def test_after_a_template_was_killed_the_next_start_makes_another_and_its_replicas_live_on(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order("a"))
        assert (await harness.engine.probe_replica("a", 20.0)).ok
        (template,) = harness.templates().values()
        template.kill()
        await until(lambda: gone(template))
        await harness.engine.start_replica(harness.replica_order("b"))
        assert (await harness.engine.probe_replica("b", 20.0)).ok
        assert [(one.alive, one.forked) for one in harness.engine.replicas()] == [(True, True), (True, True)]

    run_local(story)


def test_the_next_engine_forks_from_the_same_template(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order("a"))
        before = harness.templates()
        await harness.restart()
        await harness.engine.start_replica(harness.replica_order("b"))
        assert (await harness.engine.probe_replica("b", 20.0)).ok
        assert harness.templates() == before
        assert harness.process("replicas", "b").ppid() == next(iter(before.values())).pid

    run_local(story)


def test_a_large_model_is_loaded_once_shared_by_its_replicas_and_let_go_after_them(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.local.close()
        harness.again(share_model_bytes=2**20, linger_seconds=0.01)
        framework = {"name": "m", "version": 1, "framework": "sklearn", "file": "model.joblib"}
        package = harness.package(READS_ALL, model=framework)
        model = Stored(np.ones(MODEL_BYTES // 8))
        joblib.dump(model, Path(package) / "model" / "model.joblib")
        for name in ("a", "b"):
            await harness.engine.start_replica(order(name, package, environment={}))
            probed = await harness.engine.probe_replica(name, 20.0)
            assert probed.ok, harness.engine.output_tail(name)
        shared = [name for name in harness.templates() if name.startswith("package-")]
        assert len(shared) == 1
        for name in ("a", "b"):
            assert sight(harness.engine, name).forked, sight(harness.engine, name).why_fresh
            assert harness.process("replicas", name).memory_full_info().uss < MODEL_BYTES / 2
        harness.engine.stop_replica("a")
        await until(lambda: not sight(harness.engine, "a").alive)
        assert set(shared) <= set(harness.templates())
        harness.engine.stop_replica("b")
        await until(lambda: not any(name.startswith("package-") for name in harness.templates()))
        assert len(harness.templates()) == 1

    run_local(story)


class Stored:
    """A model of nothing but numbers; unpickled in a replica through this very file."""

    def __init__(self, coef: "np.ndarray") -> None:
        self.coef = coef

    def __reduce__(self) -> tuple[object, ...]:
        import types  # noqa: PLC0415 (what a replica finds without this file)

        return types.SimpleNamespace, (), {"coef": self.coef, "n_features_in_": None, "predict": len}


def test_replicas_of_another_boot_have_ended_through_no_fault_of_their_own(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        process = harness.process("replicas", NAME)
        folder = harness.home.engine / "replicas" / NAME
        written = json.loads((folder / "process.json").read_text())
        await harness.local.close()
        process.kill()
        await until(lambda: gone(process))
        (folder / "exit.json").unlink(missing_ok=True)
        write_json(str(folder / "process.json"), {**written, "boot": f"not-{boot_id()}"})
        harness.again()
        found = sight(harness.engine, NAME)
        assert (found.alive, found.interrupted) == (False, True)

    run_local(story)


def test_an_intent_that_was_never_complete_is_cleared_away(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        half = harness.home.engine / "replicas" / "half"
        half.mkdir()
        write_json(str(half / ENGINE), {"cpu_millis": 0, "memory_bytes": 0, "started_at": 1.0, "of_tomorrow": 1})
        await harness.restart()
        assert harness.engine.replicas() == []
        assert not half.exists()

    run_local(story)


def test_a_package_that_is_not_there_is_a_failed_start(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        with pytest.raises(StartFailed, match="cannot read the package"):
            await harness.engine.start_replica(order(package="/nowhere"))
        found = sight(harness.engine, NAME)
        assert (found.alive, found.reason) == (
            False,
            "cannot read the package in /nowhere: no package.json of format 1",
        )

    run_local(story)


def test_a_replica_that_does_not_come_to_listen_has_timed_out(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order(code=HANGS_WHEN_FORKED))
        probed = await harness.engine.probe_replica(NAME, 0.1)
        assert (probed.ok, probed.timed_out, probed.reason) == (False, True, "it was not ready within 0.1 s")

    run_local(story)


def test_warming_imports_into_the_template_and_never_raises(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.warm(("colorsys",))
        await harness.engine.warm(("there_is_no_such_library",))
        assert len(harness.templates()) == 1

    run_local(story)


def test_stopping_everything_while_a_template_is_starting_leaves_nothing(run_local: RunLocal) -> None:
    before = set(psutil.Process().children(recursive=True))

    async def story(harness: LocalHarness) -> None:
        starting = asyncio.create_task(harness.engine.start_replica(harness.replica_order()))
        await until(lambda: list((harness.home.engine / "templates").iterdir()))
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        began = time.monotonic()
        await harness.engine.stop_everything(LIMIT_SECONDS)
        assert children_beside(before) == []
        assert time.monotonic() - began < LIMIT_SECONDS, "it waited for what can come no more"

    run_local(story)


def children_beside(before: set[psutil.Process]) -> list[psutil.Process]:
    """Children of this process that were not there before, as soon as there are none, else after the limit."""

    def new_ones() -> list[psutil.Process]:
        return [one for one in psutil.Process().children(recursive=True) if one not in before and not gone(one)]

    limit = time.monotonic() + LIMIT_SECONDS
    while (found := new_ones()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found


def test_a_worker_inherits_no_secret_of_the_yard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELYARD_API_KEY", "MODELYARD_DATABASE_URL", "modelyard_token", "MODELYARD_SMTP_PASSWORD"):
        assert is_secret_of_the_yard(name)
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's own")
    found = worker_environment(1, {"MODEL_KEY": "given"})
    assert "s3cret" not in found.values()
    assert (found["AWS_SECRET_ACCESS_KEY"], found["MODEL_KEY"]) == ("the user's own", "given")
    assert (found["OMP_NUM_THREADS"], found["PATH"]) == ("1", os.environ["PATH"])


GREEDY = """
import threading, time
held = []
def take():
    while True:
        held.append(bytearray(4 * 2**20))
        time.sleep(0.005)
class Predictor:
    def __init__(self, config):
        print('taking')
        threading.Thread(target=take, daemon=True).start()
    def predict(self, payload): return payload
"""

ASKS_TOO_MUCH = """
class Predictor:
    def __init__(self, config):
        self.held = bytearray(1024 * 2**20)
    def predict(self, payload): return payload
"""

SHOWS = """
import os, tempfile
class Predictor:
    def __init__(self, config):
        print('score', open('/proc/self/oom_score_adj').read().strip())
        print('folder', tempfile.gettempdir())
    def predict(self, payload): return payload
"""


async def seen_until(harness: LocalHarness, what: Callable[[ReplicaSight], bool]) -> ReplicaSight:
    """Looks as the controller does, until it sees that."""

    def look() -> bool:
        harness.engine.take_changed()
        return what(sight(harness.engine, NAME))

    await until(look)
    return sight(harness.engine, NAME)


def test_a_replica_that_holds_more_memory_than_it_may_is_ended_and_says_so(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order(code=GREEDY, memory_bytes=64 * 2**20))
        found = await seen_until(harness, lambda one: not one.alive)
        assert (found.out_of_memory, found.exit_code) == (True, -9)
        assert found.reason is not None
        assert "its limit, compute.mem, is 64 MiB" in found.reason
        assert not found.stopping

    run_local(story)


FAMILY = """
import subprocess, sys
class Predictor:
    def __init__(self, config):
        words = "held = bytearray(48 * 2**20); print('held', flush=True); import time; time.sleep(600)"
        self.started = [subprocess.Popen([sys.executable, "-c", words]) for _ in range(2)]
    def predict(self, payload): return payload
"""


def test_what_a_replica_started_counts_towards_its_memory(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order("within", code=FAMILY, memory_bytes=512 * 2**20))
        await until(lambda: harness.engine.output_tail("within", 5).count("held") == 2)
        assert (await harness.engine.private_memory())["within"] > 96 * 2**20
        harness.engine.take_changed()
        assert sight(harness.engine, "within").alive
        await harness.engine.start_replica(harness.replica_order("beyond", code=FAMILY, memory_bytes=80 * 2**20))

        def ended() -> bool:
            harness.engine.take_changed()
            return not sight(harness.engine, "beyond").alive

        await until(ended)
        assert sight(harness.engine, "beyond").out_of_memory

    run_local(story)


@pytest.mark.parametrize("fresh", [False, True])
def test_more_memory_than_the_limit_is_refused_where_it_is_wanted(run_local: RunLocal, fresh: bool) -> None:
    async def story(harness: LocalHarness) -> None:
        order = harness.replica_order(code=ASKS_TOO_MUCH, memory_bytes=256 * 2**20)
        await harness.engine.start_replica(replace(order, why_fresh="it was asked for" if fresh else None))
        found = await seen_until(harness, lambda one: not one.alive)
        assert (found.forked, found.exit_code, found.reason) == (not fresh, 1, "MemoryError")

    run_local(story)


def test_what_the_kernel_kills_for_memory_is_told_apart_from_any_other_kill(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        with memory_group(64 * 2**20) as group:
            harness.engine.take_changed()
            await harness.engine.start_replica(harness.replica_order(code=GREEDY))
            (group / "cgroup.procs").write_text(str(sight(harness.engine, NAME).pid))
            found = await seen_until(harness, lambda one: not one.alive)
            assert (found.exit_code, found.out_of_memory) == (-9, True)
            assert found.reason == "the system killed it to free memory"

    run_local(story)


def test_the_kernel_is_offered_replicas_first_and_each_has_a_temporary_folder_of_its_own(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_replica(harness.replica_order(code=SHOWS))
        await until(lambda: "folder" in harness.engine.output_tail(NAME))
        words = dict(line.split() for line in harness.engine.output_tail(NAME).splitlines()[:2])
        assert int(words["score"]) == 500
        (template,) = harness.templates().values()
        assert (score(template.pid), score(os.getpid()) < 250) == (250, True)
        assert mode_of(words["folder"]) & 0o777 == 0o700
        harness.engine.stop_replica(NAME, kill=True)
        await seen_until(harness, lambda one: not one.alive)
        assert mode_of(words["folder"]) == 0

    run_local(story)


def score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def mode_of(folder: str) -> int:
    """0 where there is none."""
    place = Path(folder)
    return place.stat().st_mode if place.exists() else 0


def test_numeric_threads_of_a_job_do_not_spin_beside_those_of_another(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        script = "import os, pathlib; pathlib.Path('said').write_text(os.environ['OMP_WAIT_POLICY'])"
        await harness.engine.start_job(harness.job_order(script=script))
        said = Path(harness.job_order().base) / "said"
        await until(lambda: said.exists() and said.read_text() == "passive")

    run_local(story)


SEES = """
import os

class Predictor:
    def __init__(self, config):
        print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)

    predict = print
"""


def test_a_gpu_is_one_replicas_and_refused_where_none_is_free(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        engine = harness.again(gpus=("GPU-a", "GPU-b"))
        assert engine.room(EndpointSpec("p", gpus=1)) == 2
        for name, gpus, sees in (("one", 1, "GPU-a"), ("two", 1, "GPU-b"), ("three", 0, "")):
            await engine.start_replica(harness.replica_order(name, SEES, gpus=gpus))
            await until(lambda name=name, sees=sees: engine.output_tail(name, 1) == f"{sees}\n")
        assert engine.room(EndpointSpec("p", gpus=1)) == 0
        with pytest.raises(StartFailed, match="asks for 1 GPUs, and 0 of 2"):
            await engine.start_replica(harness.replica_order("four", SEES, gpus=1))
        await harness.restart()
        engine = harness.local
        engine.stop_replica("one", kill=True)
        await until(lambda: not sight(engine, "one").alive)
        await engine.start_replica(harness.replica_order("five", SEES, gpus=1))
        await until(lambda: engine.output_tail("five", 1) == "GPU-a\n")

    run_local(story)
