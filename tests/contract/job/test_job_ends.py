"""How a job ends, and that nothing outlives it."""

import signal

import pytest
from modelyard_worker.records import is_alive, read_identity

from tests.contract.job.job_harness import Jobs, alive, wait_until

TWO_GENERATIONS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
away = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("pids", os.getpid(), child.pid, away.pid, flush=True)
"""


def pids_of(output: str) -> list[int]:
    line = next(line for line in output.splitlines() if line.startswith("pids "))
    return [int(word) for word in line.split()[1:]]


def test_a_script_that_ends_well_leaves_exit_0_and_its_last_metrics(jobs: Jobs) -> None:
    job = jobs.start(
        "from modelyard_worker import log_metric\n"
        "for step, loss in enumerate([3.0, 2.0, 1.5]): log_metric('loss', loss, step)\n"
        "log_metric('bad', float('nan'))\n"
    )
    record = job.end()
    assert (record["code"], record["by"], record["metrics"]) == (0, "exit", {"loss": 1.5})
    assert "failure" not in record


def test_the_wrapper_states_its_identity_before_anything_else(jobs: Jobs) -> None:
    job = jobs.start("import time; print('here', flush=True); time.sleep(600)")
    job.wait_output("here")
    identity = read_identity(str(job.folder))
    assert identity is not None
    assert identity.pid == job.process.pid
    assert is_alive(identity)


def test_an_exception_is_the_reason(jobs: Jobs) -> None:
    record = jobs.start("raise ValueError('no rows')").end()
    assert (record["code"], record["failure"]) == (1, "ValueError: no rows (exit code 1)")


def test_the_failure_file_wins_and_is_cut(jobs: Jobs) -> None:
    record = jobs.start(
        "import os\n"
        "open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/failure', 'w').write('x' * 5000)\n"
        "raise SystemExit(7)\n"
    ).end()
    assert (record["code"], record["failure"]) == (7, "x" * 1024)


def test_a_silent_failure_says_so(jobs: Jobs) -> None:
    assert jobs.start("raise SystemExit(3)").end()["failure"] == "exit code 3, and nothing was printed"


def test_a_script_killed_by_a_signal_is_recorded_as_such(jobs: Jobs) -> None:
    record = jobs.start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").end()
    assert (record["code"], record["by"], record["failure"]) == (-9, "exit", "killed by SIGKILL")


def test_a_command_that_is_not_there_is_a_failure_not_a_loss(jobs: Jobs) -> None:
    record = jobs.start("", command=["/nowhere/python", "train.py"]).end()
    assert record["code"] == 127
    assert record["failure"].startswith("cannot run /nowhere/python: ")


def test_a_stop_lets_the_script_say_goodbye(jobs: Jobs) -> None:
    job = jobs.start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saving', flush=True), sys.exit(0)))\n"
        "print('here', flush=True)\n"
        "time.sleep(600)\n"
    )
    job.wait_output("here")
    job.process.send_signal(signal.SIGTERM)
    record = job.end()
    assert (record["code"], record["by"]) == (0, "stop")
    assert "saving" in job.output


def test_a_script_that_ignores_the_stop_is_killed_after_its_grace(jobs: Jobs) -> None:
    job = jobs.start(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\n"
        "while True: time.sleep(600)\n",
        stop_grace_seconds=0.2,
    )
    job.wait_output("here")
    job.process.send_signal(signal.SIGTERM)
    record = job.end()
    assert (record["code"], record["by"]) == (-9, "stop")


def test_the_maximum_run_time_ends_it_without_anyone_asking(jobs: Jobs) -> None:
    record = jobs.start("import time; time.sleep(600)", max_runtime_seconds=0.3).end()
    assert (record["code"], record["by"]) == (-15, "max_runtime")


def test_processes_that_a_script_left_behind_are_ended_with_it(jobs: Jobs) -> None:
    job = jobs.start(TWO_GENERATIONS)
    job.end()
    for pid in pids_of(job.output):
        wait_until(lambda pid=pid: not alive(pid), f"process {pid} outlived the job")


@pytest.mark.parametrize("attempt", range(3))
def test_when_the_wrapper_is_killed_the_script_dies_and_no_record_appears(jobs: Jobs, attempt: int) -> None:
    job = jobs.start(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('pids', os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    job.wait_output("pids ")
    job.process.kill()
    job.process.wait()
    for pid in pids_of(job.output):
        wait_until(lambda pid=pid: not alive(pid), f"process {pid} outlived its wrapper")
    assert job.record is None


def test_when_the_wrapper_is_killed_even_who_began_a_session_of_its_own_is_ended(jobs: Jobs) -> None:
    job = jobs.start(TWO_GENERATIONS + "time.sleep(600)\n")
    job.wait_output("pids ")
    job.process.kill()
    job.process.wait()
    for pid in pids_of(job.output):
        wait_until(lambda pid=pid: not alive(pid), f"process {pid} outlived its wrapper")


def test_a_shell_script_runs_by_sh(jobs: Jobs) -> None:
    job = jobs.start(
        'echo "depth $2"; test -f "$SM_CHANNEL_TRAIN/a.csv"', "run.sh", {"max_depth": "5"}, {"train": {"a.csv": "1,2"}}
    )
    assert job.end()["code"] == 0
    assert "depth 5" in job.output


def test_metrics_are_found_in_what_it_prints_while_it_runs(jobs: Jobs) -> None:
    script = (
        "import pathlib, time\n"
        "print('epoch 1 loss=3.0', flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "print('epoch 2 loss=2.5', end='', flush=True)\n"
    )
    job = jobs.start(script, metrics={"loss": r"epoch (?P<step>\d+) loss=(\S+)"})
    found = job.base / "output" / "metrics.jsonl"
    wait_until(lambda: found.exists() and '"value": 3.0, "step": 1' in found.read_text(), "the first loss")
    (job.base / "code" / "go").touch()
    assert job.end()["metrics"] == {"loss": 2.5}


def test_the_last_metrics_are_found_though_the_wrapper_is_killed(jobs: Jobs) -> None:
    script = "import time\nprint('ready', flush=True); print('loss=1.5', flush=True); time.sleep(600)"
    job = jobs.start(script, metrics={"loss": r"loss=(\S+)"})
    job.wait_output("loss=1.5")
    job.process.kill()
    found = job.base / "output" / "metrics.jsonl"
    wait_until(lambda: found.exists() and '"value": 1.5' in found.read_text(), "the last loss")


def test_an_expression_that_takes_for_ever_costs_the_job_its_metrics_alone(jobs: Jobs) -> None:
    script = "print('a' * 40 + '!', flush=True)"
    job = jobs.start(script, metrics={"loss": r"(a+)+$"})
    record = job.end()
    assert (record["code"], record["metrics"]) == (0, {})
    assert "takes too long" in job.output
