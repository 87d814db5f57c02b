"""What a script finds: SageMaker's container contract (sagemaker-training's names and encodings)."""

import json
from pathlib import Path

import pytest
from modelyard_worker.job_environment import JobPlan, command, lay_out_job, user_arguments

from tests.contract.job.job_harness import Jobs, read

DUMP = """
import json, os, sys
seen = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}
json.dump(seen, open(os.environ["SM_OUTPUT_DATA_DIR"] + "/seen.json", "w"))
"""


def test_hyperparameters_arrive_as_arguments_by_name_decoded_as_json() -> None:
    given = {
        "lr": "0.10",
        "n": "3",
        "flag": "true",
        "name": "adam",
        "layers": "[1, 2]",
        "map": '{"b": 1, "a": 2}',
        "none": "null",
    }
    words = ["--flag", "True", "--layers", "[1, 2]", "--lr", "0.1", "--map", "a=2,b=1", "-n", "3"]
    assert user_arguments(given) == [*words, "--name", "adam", "--none", ""]


def test_names_that_sagemaker_keeps_for_itself_are_not_arguments() -> None:
    assert user_arguments({"sagemaker_program": "train.py", "_tuning_objective_metric": "rmse", "eta": "1"}) == [
        "--eta",
        "1",
    ]


def test_a_script_sees_the_whole_contract(jobs: Jobs) -> None:
    job = jobs.start(
        DUMP,
        hyperparameters={"max_depth": "5", "eta": "0.2"},
        channels={"train": {"a.csv": "1"}, "validation": {"b.csv": "2"}},
        environment={"MY_SETTING": "yes"},
    )
    assert job.end()["code"] == 0, job.output
    seen = read(job.base / "output" / "data" / "seen.json")
    env, base = seen["env"], str(job.base)
    assert seen["argv"] == ["--eta", "0.2", "--max_depth", "5"]
    assert seen["cwd"] == f"{base}/code"
    assert env["SAGEMAKER_BASE_DIR"] == base
    assert env["SM_MODEL_DIR"] == f"{base}/model"
    assert env["SM_CHANNEL_TRAIN"] == f"{base}/input/data/train"
    assert json.loads(env["SM_CHANNELS"]) == ["train", "validation"]
    assert json.loads(env["SM_HPS"]) == {"max_depth": 5, "eta": 0.2}
    assert (env["SM_HP_MAX_DEPTH"], env["SM_HP_ETA"]) == ("5", "0.2")
    assert json.loads(env["SM_USER_ARGS"]) == seen["argv"]
    assert (env["SM_CURRENT_HOST"], json.loads(env["SM_HOSTS"])) == ("algo-1", ["algo-1"])
    assert json.loads(env["SM_TRAINING_ENV"])["output_data_dir"] == f"{base}/output/data"
    assert json.loads(env["SM_INPUT_DATA_CONFIG"])["train"]["ContentType"] == "text/csv"
    assert int(env["SM_NUM_CPUS"]) >= 1
    assert env["TRAINING_JOB_NAME"] == "fit-1"
    assert env["TRAINING_JOB_ARN"].endswith(":training-job/fit-1")
    assert (env["SAGEMAKER_PROGRAM"], env["MY_SETTING"]) == ("train.py", "yes")
    others = (
        "NUM_GPUS NUM_NEURONS LOG_LEVEL NETWORK_INTERFACE_NAME INPUT_DIR INPUT_CONFIG_DIR RESOURCE_CONFIG OUTPUT_DIR"
    )
    assert {f"SM_{name}" for name in f"{others} OUTPUT_DIR MODULE_DIR USER_ENTRY_POINT".split()} <= env.keys()


def test_the_files_of_the_contract_have_text_for_every_hyperparameter(tmp_path: Path) -> None:
    plan = JobPlan("fit-1", str(tmp_path), None, "xgboost", ["train"], {}, {"eta": "0.2"}, {})
    lay_out_job(plan)
    config = tmp_path / "input" / "config"
    assert read(config / "hyperparameters.json") == {"eta": "0.2"}
    assert read(config / "inputdataconfig.json")["train"]["TrainingInputMode"] == "File"
    assert read(config / "resourceconfig.json")["current_host"] == "algo-1"
    assert (tmp_path / "checkpoints").is_dir()


def test_imports_begin_at_the_code_and_at_the_python_path(jobs: Jobs) -> None:
    job = jobs.start("import sys; print(sys.path[:3])", "src/train.py", python_path="lib")
    assert job.end()["code"] == 0
    code = f"{job.base}/code"
    assert f"['{code}/src', '{code}/lib', '{code}']" in job.output


def test_an_algorithm_that_is_not_built_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="built in are xgboost"):
        command(JobPlan("fit-1", str(tmp_path), None, "catboost", [], {}, {}, {}))
