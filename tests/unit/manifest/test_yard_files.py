"""Yard files as people write them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.endpoints import EndpointSpec
from modelyard.errors import InvalidValue, NotFound
from modelyard.manifest.endpoints import EndpointResource
from modelyard.manifest.trainings import TrainingResource
from modelyard.manifest.yard_file import find_yard_file, read_yard_file

CORTEX = """\
- name: iris
  endpoint: iris-classifier
  predictor:
    type: python
    path: predictor.py
    config: {bucket: models, key: null}
    python_path: src/
    env: {REGION: eu, RETRIES: 3, FAST: yes}
  tracker:
    key: label
    model_type: classification
  compute: {cpu: 500m, gpu: 0, mem: Null}
  autoscaling:
    min_replicas: 1
    max_replicas: 100
    init_replicas: 2
    workers_per_replica: 1
    threads_per_worker: 4
    target_replica_concurrency: 4
    max_replica_concurrency: 1024
    window: 60s
    downscale_stabilization_period: 5m
    upscale_stabilization_period: 0m
    max_downscale_factor: 0.5
    max_upscale_factor: 10
    downscale_tolerance: 0.1
    upscale_tolerance: 0.1
  update_strategy: {max_surge: 25%, max_unavailable: 25%}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "predictor.py").touch()
    (tmp_path / "train.py").touch()
    (tmp_path / "train.csv").touch()
    (tmp_path / "price.ubj").touch()
    return tmp_path


def write(folder: Path, text: str, name: str = "modelyard.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def endpoint(folder: Path, text: str) -> EndpointResource:
    (found,) = read_yard_file(write(folder, text)).endpoints
    return found


def training(folder: Path, text: str) -> TrainingResource:
    (found,) = read_yard_file(write(folder, text)).trainings
    return found


def test_a_cortex_file_is_read_as_it_is(folder: Path) -> None:
    (found,) = read_yard_file(write(folder, CORTEX, "cortex.yaml")).endpoints
    assert found.predictor == {
        "path": "predictor.py",
        "class": None,
        "config": {"bucket": "models", "key": None},
        "python_path": "src/",
        "tracker": {"key": "label", "model_type": "classification"},
    }
    assert found.settings == {
        "autoscaling": {
            "min_replicas": 1,
            "max_replicas": 100,
            "init_replicas": 2,
            "target_in_flight": 4.0,
            "window_seconds": 60.0,
            "downscale_stabilization_seconds": 300.0,
            "upscale_stabilization_seconds": 0.0,
            "downscale_kept_share": 0.5,
            "max_upscale_factor": 10.0,
            "downscale_tolerance": 0.1,
            "upscale_tolerance": 0.1,
        },
        "cpu_millis": 500,
        "threads_per_process": 4,
        "max_in_flight": 4,
        "max_queue_length": 2040,
        "max_surge": "25%",
        "max_unavailable": "25%",
        "environment": {"REGION": "eu", "RETRIES": "3", "FAST": "yes"},
    }


def test_what_has_no_effect_is_told(folder: Path) -> None:
    (note,) = read_yard_file(write(folder, CORTEX)).notes
    assert "autoscaling" not in note


def test_every_setting_is_a_field_of_the_domains_spec(folder: Path) -> None:
    text = """\
- name: price
  model: price:3
  compute: {cpu: 0.5, mem: 512Mi}
  autoscaling: {min_replicas: 2, max_replicas: 2, threads_per_process: 2}
  update_strategy: {max_surge: 1, max_unavailable: 0}
  server_side_batching: {max_batch_size: 8, batch_interval: 10ms}
  max_in_flight: 16
  max_queue_length: 0
  max_body: 6Mi
  timeout: 1m30s
  start_limit: 20
  drain_limit: 0s
  idempotent: false
  env: {A: b}
"""
    found = endpoint(folder, text)
    assert found.settings == {
        "replicas": 2,
        "cpu_millis": 500,
        "memory_bytes": 512 * 2**20,
        "threads_per_process": 2,
        "max_batch_size": 8,
        "max_in_flight": 16,
        "max_queue_length": 0,
        "max_body_bytes": 6 * 2**20,
        "timeout_seconds": 90.0,
        "start_seconds": 20.0,
        "drain_seconds": 0.0,
        "idempotent": False,
        "max_surge": "1",
        "max_unavailable": "0",
        "environment": {"A": "b"},
    }
    assert set(found.settings) <= {one.name for one in fields(EndpointSpec)} - {"package", "model"}
    assert EndpointSpec(package="p", **found.settings).replicas == 2


def scaling(folder: Path, section: str) -> dict[str, Any]:
    return endpoint(folder, f"- {{name: a, model: b, autoscaling: {section}}}").settings


def test_every_setting_of_scaling_is_a_field_of_the_domains(folder: Path) -> None:
    found = scaling(
        folder,
        "{min_replicas: 0, max_replicas: 8, init_replicas: 1, target_in_flight: 2, window: 30s, burst_factor: 2.0,"
        " upscale_stabilization_period: 30s, downscale_stabilization_period: 2m, max_upscale_factor: 3.0,"
        " downscale_kept_share: 0.5, upscale_tolerance: 0.1, downscale_tolerance: 0.2, last_replica_delay: 1h}",
    )
    assert Autoscaling(**found["autoscaling"]) == Autoscaling(
        min_replicas=0,
        max_replicas=8,
        init_replicas=1,
        target_in_flight=2.0,
        window_seconds=30.0,
        upscale_stabilization_seconds=30.0,
        downscale_stabilization_seconds=120.0,
        max_upscale_factor=3.0,
        downscale_kept_share=0.5,
        upscale_tolerance=0.1,
        downscale_tolerance=0.2,
        burst_factor=2.0,
        last_replica_delay_seconds=3600.0,
    )
    assert set(found["autoscaling"]) == {one.name for one in fields(Autoscaling)}


def test_a_section_on_scaling_has_cortexs_maximum_and_without_one_the_yard_chooses(folder: Path) -> None:
    assert scaling(folder, "{min_replicas: 2}") == {"autoscaling": {"min_replicas": 2, "max_replicas": 100}}
    assert scaling(folder, "{threads_per_process: 2}") == {"threads_per_process": 2}
    assert scaling(folder, "{min_replicas: 3, max_replicas: 3}") == {"replicas": 3}
    assert scaling(folder, "{target_replica_concurrency: 2}")["autoscaling"]["target_in_flight"] == 2.0
    assert scaling(folder, "{max_downscale_factor: 0.5}")["autoscaling"]["downscale_kept_share"] == 0.5


def test_what_a_file_leaves_out_stays_out(folder: Path) -> None:
    found = endpoint(folder, "- name: price\n  model: price\n  compute:\n  autoscaling: {min_replicas: Null}\n")
    assert (found.settings, found.predictor, found.model_path, found.line) == ({}, None, None, 1)


@pytest.mark.parametrize(("replicas", "concurrency", "queue"), [(1, 1, 0), (2, 1024, 2044), (3, 10, 24)])
def test_cortexs_bound_is_kept_in_all(folder: Path, replicas: int, concurrency: int, queue: int) -> None:
    scaling = f"{{min_replicas: {replicas}, max_replica_concurrency: {concurrency}}}"
    found = endpoint(folder, f"- name: a\n  predictor: {{path: predictor.py}}\n  autoscaling: {scaling}\n").settings
    assert found["max_queue_length"] == queue
    assert found["max_queue_length"] + replicas * found["max_in_flight"] == replicas * concurrency


def test_a_model_with_a_dot_or_a_slash_is_a_path(folder: Path) -> None:
    assert endpoint(folder, "- {name: price, model: price.ubj}").model_path == "price.ubj"
    assert endpoint(folder, "- {name: price, model: price:3}").model_path is None


def test_a_training_is_read_with_its_hyperparameters_as_text(folder: Path) -> None:
    found = training(
        folder,
        """\
- name: fit
  kind: training
  algorithm: xgboost
  inputs:
    train: train.csv
    validation: {path: train.csv, content_type: text/csv}
  hyperparameters: {max_depth: 5, eta: 0.20, silent: true, objective: "reg:linear", tag: 010, day: 2026-01-31}
  model: price
  max_runtime: 2h
""",
    )
    assert found.hyperparameters == {
        "max_depth": "5",
        "eta": "0.2",
        "silent": "true",
        "objective": "reg:linear",
        "tag": "010",
        "day": "2026-01-31",
    }
    assert {name: one.content_type for name, one in found.inputs.items()} == {"train": None, "validation": "text/csv"}
    assert (found.max_runtime_seconds, found.stop_grace_seconds, found.model) == (7200.0, 120.0, "price")


def test_anchors_and_merge_keys_work(folder: Path) -> None:
    text = """\
- &base
  name: a
  model: price
  timeout: 5s
- <<: *base
  name: b
"""
    a, b = read_yard_file(write(folder, text)).endpoints
    assert (a.name, b.name, b.settings) == ("a", "b", {"timeout_seconds": 5.0})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- name: a\n  modle: b", "modelyard.yaml:2: a.modle: unknown field; did you mean model? allowed: name, kind,"),
        (
            "- name: a\n  model: b\n  autoscaling:\n    min_replica: 2",
            "modelyard.yaml:4: a.autoscaling.min_replica: unknown field; did you mean min_replicas?",
        ),
        ("- name: a\n  model: b\n  timeout: soon", ":3: a.timeout: found 'soon' (text); allowed: 500ms, 60s, 5m,"),
        ("- name: a\n  model: b\n  compute: {mem: lots}", ":3: a.compute.mem: found 'lots' (text); allowed: 512Mi,"),
        ("- name: a\n  model: b\n  compute: {gpu: -1}", "a.compute.gpu: found -1"),
        ("- name: a\n  model: b\n  compute: 3", "a.compute: found 3 (number); allowed: a map"),
        ("- name: a\n  model: b\n  max_batch_size: 0", "a.max_batch_size: found 0 (number); allowed: 1 or more"),
        ("- name: a\n  model: b\n  max_batch_size: '8'", "a.max_batch_size: found '8' (text); allowed: a whole number"),
        ("- name: a\n  model: b\n  idempotent: yes", "a.idempotent: found 'yes' (text); allowed: true or false"),
        ("- name: a\n  model: b\n  max_body: 101Mi", "a.max_body: found '101Mi' (text); allowed: at most 104857600"),
        ("- name: a\n  model: b\n  max_body: true", "a.max_body: found true (true/false); allowed: 6Mi,"),
        (
            "- {name: a, model: b, autoscaling: {min_replicas: -1}}",
            "a.autoscaling.min_replicas: found -1 (number); allowed: 0 or more",
        ),
        (
            "- {name: a, model: b, autoscaling: {max_downscale_factor: 0.5, downscale_kept_share: 0.5}}",
            "a.autoscaling.max_downscale_factor: found beside downscale_kept_share; allowed: one of the two",
        ),
        (
            "- {name: a, model: b, autoscaling: {workers_per_replica: 2, processes_per_replica: 2}}",
            "workers_per_replica: found beside processes_per_replica",
        ),
        (
            "- {name: a, model: b, autoscaling: {init_replicas: 3, max_replicas: 2}}",
            "a.autoscaling.max_replicas: found 2",
        ),
        (
            "- {name: a, model: b, autoscaling: {min_replicas: 3, init_replicas: 2}}",
            "at least min_replicas, which is 3",
        ),
        (
            "- {name: a, predictor: {type: onnx, path: predictor.py}}",
            "a.predictor.type: found 'onnx' (text); allowed: python;",
        ),
        ("- {name: a, predictor: {path: predictors.py}}", "there is no such file; did you mean predictor.py?"),
        ("- {name: a, predictor: {path: ../predictor.py}}", "allowed: a path inside the project, without .."),
        ("- {name: a, predictor: {}}", "a.predictor.path: missing; it must be given"),
        ("- {name: a, model: 'price@latest'}", "a.model: found 'price@latest' (text); allowed: a model's name"),
        ("- {name: a, model: 'https://host/m.ubj'}", "a URL is not read yet"),
        ("- {name: a, model: prize.ubj}", "there is no such file or folder; did you mean price.ubj?"),
        ("- {name: a, model: b, tracker: {model_type: regression}}", "a.tracker: found without a predictor; allowed:"),
        (
            "- {name: a, predictor: {path: predictor.py, app: app}, monitoring: {model_type: regression}}",
            "a.monitoring: found beside predictor.app; allowed: beside a predictor with a class or functions",
        ),
        ("- {name: a}", "modelyard.yaml:1: a: needs a `model`, a `predictor`, or both"),
        ("- {model: b}", "modelyard.yaml:1: [0].name: missing; it must be given"),
        ("- {name: a_b, model: b}", "a_b.name: found 'a_b' (text); allowed: a DNS label"),
        ("- {name: a, model: b, pod: {}}", "a.pod: unknown field; containers are not run here"),
        ("- {name: a, kind: trainning}", "a.kind: found 'trainning' (text); did you mean training? allowed: endpoint,"),
        ("- {name: a, kind: monitor}", "which is not there yet; allowed: endpoint, training"),
        ("- {name: a, kind: batch}", "modelyard.yaml:1: a: needs either `endpoint`, or `model`, `predictor` or both"),
        ("- {name: a, kind: batch, model: b, schedule: '0 3 * * *'}", "`input` and `output` beside a `schedule`"),
        (
            "- name: a\n  kind: batch\n  model: b\n  input: in\n  output: out\n  schedule: 0 25 * * *",
            "modelyard.yaml:6: a.schedule: cannot use the schedule '0 25 * * *': bad hour",
        ),
        (
            "- name: a\n  kind: task\n  algorithm: xgboost\n  schedule: {cron: 0 3 * * *, zone: UTC}",
            "a.schedule.zone: unknown field; did you mean time_zone?",
        ),
        ("- {name: t, kind: training}", "t: needs exactly one of `algorithm` (such as xgboost) and `entry` (a script)"),
        (
            "- {name: t, kind: training, algorithm: xgbost}",
            "found 'xgbost' (text); did you mean xgboost? allowed: xgboost",
        ),
        ("- {name: t, kind: training, entry: trian.py}", "there is no such file; did you mean train.py?"),
        (
            "- {name: t, kind: training, entry: train.py, inputs: {a/b: train.csv}}",
            "found the name 'a/b'; allowed: letters",
        ),
        (
            "- {name: t, kind: training, entry: train.py, inputs: {a: no.csv}}",
            "t.inputs.a: found 'no.csv' (text), but there",
        ),
        (
            "- {name: t, kind: training, entry: train.py, hyperparameters: {a: [1]}}",
            "t.hyperparameters.a: found a list;",
        ),
        (
            "- name: t\n  kind: training\n  entry: train.py\n  metrics:\n    loss: 'loss=[0-9'",
            "modelyard.yaml:5: t.metrics.loss: found 'loss=[0-9' (text); allowed: a regular expression with a group",
        ),
        (
            "- {name: t, kind: training, algorithm: xgboost, metrics: {loss: 'loss=(.)'}}",
            "`metrics` with an `entry` alone",
        ),
        ("- {name: a, model: b}\n- {name: A, model: b}", "modelyard.yaml:2: A.name: found twice, first in line 1"),
        ("- name: a\n  model: b\n  model: c", "modelyard.yaml:3: a.model: found twice, first in line 2"),
        ("- name: a\n\tmodel: b", "modelyard.yaml:2: found a tab in the indentation"),
        ("- name: [", "not YAML:"),
        ("name: a", "modelyard.yaml:1: found a map; allowed: a list of resources"),
        ("- a", "[0]: found 'a' (text); allowed: a resource, a map with a name"),
        ("", "modelyard.yaml:1: empty; allowed: a list of resources"),
        ("# nothing but a comment\n", "empty; allowed: a list"),
        ("- !!python/object/apply:os.system [ls]", "tags are not allowed"),
        ("- &a {name: *a}", "an alias inside its own anchor"),
        ("- name: a\n---\n- name: b", "not YAML: but found another document"),
    ],
)
def test_a_problem_says_where_what_and_what_is_allowed(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_yard_file(write(folder, text))
    assert problem in refused.value.message


def test_all_problems_are_told_at_once_by_line(folder: Path) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_yard_file(write(folder, "- name: a\n  modle: b\n  timeout: soon\n- name: c\n  kind: nothing\n"))
    head, *problems = refused.value.message.splitlines()
    assert head == "cannot use modelyard.yaml: 3 problems"
    assert [line.split(":")[1] for line in problems] == ["2", "3", "5"]


def test_a_small_file_cannot_unfold_into_a_huge_one(folder: Path) -> None:
    text = "- a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        text += f"  {name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    with pytest.raises(InvalidValue, match="once its aliases are unfolded"):
        read_yard_file(write(folder, text))


def test_text_that_is_not_utf_8_is_located(folder: Path) -> None:
    (folder / "modelyard.yaml").write_bytes(b"- name: a\n  model: \xff\n")
    with pytest.raises(InvalidValue, match=r"modelyard\.yaml:2: not UTF-8: found the byte 0xff"):
        read_yard_file(folder / "modelyard.yaml")


def test_a_missing_file_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound, match="cannot find"):
        read_yard_file(folder / "modelyard.yaml")


def test_a_folders_yard_file_is_found_by_its_name(folder: Path) -> None:
    with pytest.raises(NotFound, match="cannot find a yard file"):
        find_yard_file(folder)
    cortex = write(folder, CORTEX, "cortex.yaml")
    assert find_yard_file(folder) == cortex
    own = write(folder, CORTEX)
    assert find_yard_file(folder) == own


def test_processes_of_one_of_cortexs_replicas_are_replicas_that_share_its_compute(tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").write_text(
        "- name: a\n  model: b\n  compute: {cpu: 2, mem: 1Gi}\n"
        "  autoscaling: {min_replicas: 1, max_replicas: 3, processes_per_replica: 4, target_replica_concurrency: 8}\n"
    )
    [one] = read_yard_file(tmp_path / "modelyard.yaml").endpoints
    assert one.settings["autoscaling"] == {"min_replicas": 4, "max_replicas": 12, "target_in_flight": 2.0}
    assert (one.settings["cpu_millis"], one.settings["memory_bytes"]) == (500, 2**28)
