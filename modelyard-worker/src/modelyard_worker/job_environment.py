"""The world a training finds: SageMaker's container contract, without the container.

Part of what both sides of a border agree on: the controller lays a job out with it, the job's code relies on it. A base
folder stands in place of /opt/ml (its path is in SAGEMAKER_BASE_DIR and in every SM_* variable):

    input/config/     hyperparameters.json, inputdataconfig.json, resourceconfig.json
    input/data/NAME/  each channel's files; laid out before by the caller
    code/             the user's code, and the working folder; laid out before by the caller
    model/            what is left here becomes the model
    output/           `failure` (first characters become the reason), metrics.jsonl
    output/data/      whatever else is worth keeping
    checkpoints/      what a later attempt of the same run goes on from: all else it finds as the first one did

Values of hyperparameters are text in hyperparameters.json. SM_HPS and the command line have them decoded as JSON where
they are JSON, as SageMaker's training toolkit does: `0.10` arrives as `--eta 0.1`, `true` as `--flag True`.
"""

import json
import os
import sys
from typing import Any, Dict, List, NamedTuple, Optional

from modelyard_worker.metrics import METRICS_FILE
from modelyard_worker.records import write_json

ALGORITHMS = {
    "xgboost": "modelyard_worker.algorithms.xgboost",
    "linear-learner": "modelyard_worker.algorithms.linear_learner",
    "isolation-forest": "modelyard_worker.algorithms.isolation_forest",
    "dbscan": "modelyard_worker.algorithms.dbscan",
    "stl-esd": "modelyard_worker.algorithms.stl_esd",
    "autoencoder": "modelyard_worker.algorithms.autoencoder",
}
"""Built-in algorithms: name -> module that is run."""

CHECKPOINTS = "checkpoints"

HOST = "algo-1"
"""What SageMaker calls the first host; here the only one."""

NETWORK_INTERFACE = "lo"

_RESERVED_PREFIX = "sagemaker_"
_RESERVED_NAMES = ("_tuning_objective_metric",)


class JobPlan(NamedTuple):
    """A training, as far as its world depends on it. Exactly one of `entry` and `algorithm` is given."""

    name: str
    """The run's id; SageMaker's training job name."""
    base: str
    """Absolute path of the base folder."""
    entry: Optional[str]
    """Script inside code/: Python, or a shell script where its name ends in .sh."""
    algorithm: Optional[str]
    channels: List[str]
    content_types: Dict[str, str]
    """Channel -> content type, where one was given."""
    hyperparameters: Dict[str, str]
    environment: Dict[str, str]
    """The user's own; it wins over what the contract sets."""
    python_path: Optional[str] = None
    """Folder inside code/ that imports begin at, beside the entry's own."""
    python: str = sys.executable


class JobProcess(NamedTuple):
    command: List[str]
    """To be run in code/."""
    environment: Dict[str, str]


def lay_out_job(plan: JobPlan) -> JobProcess:
    """Makes the folders and files that are not the caller's, and says what to run. Doing so twice is harmless."""
    for folder in ("input/config", "input/data", "code", "model", "output/data", CHECKPOINTS):
        os.makedirs(os.path.join(plan.base, folder), exist_ok=True)
    config = os.path.join(plan.base, "input", "config")
    write_json(os.path.join(config, "hyperparameters.json"), plan.hyperparameters)
    write_json(os.path.join(config, "inputdataconfig.json"), input_data_config(plan))
    write_json(os.path.join(config, "resourceconfig.json"), resource_config())
    return JobProcess(command(plan), environment(plan))


def command(plan: JobPlan) -> List[str]:
    """The words to execute. Raises ValueError for an algorithm that is not built in."""
    if plan.entry is not None:
        program = "/bin/sh" if plan.entry.endswith(".sh") else plan.python
        return [program, plan.entry, *user_arguments(plan.hyperparameters)]
    if plan.algorithm not in ALGORITHMS:
        raise ValueError(f"cannot run algorithm {plan.algorithm!r}: built in are {', '.join(ALGORITHMS)}")
    return [plan.python, "-m", ALGORITHMS[plan.algorithm]]


def environment(plan: JobPlan) -> Dict[str, str]:
    """Every variable of the contract, SageMaker's names."""
    base = plan.base
    code = os.path.join(base, "code")
    hyperparameters = user_hyperparameters(plan.hyperparameters)
    facts = _facts(plan)
    variables: Dict[str, Any] = {f"SM_{name.upper()}": value for name, value in facts.items()}
    variables["SM_HPS"] = hyperparameters
    variables["SM_USER_ARGS"] = user_arguments(plan.hyperparameters)
    variables["SM_TRAINING_ENV"] = {**facts, "hyperparameters": hyperparameters, "job_name": plan.name}
    variables.update((f"SM_CHANNEL_{name.upper()}", _channel(base, name)) for name in plan.channels)
    variables.update((f"SM_HP_{name.upper()}", value) for name, value in hyperparameters.items())
    variables.update(
        SAGEMAKER_BASE_DIR=base,
        TRAINING_JOB_NAME=plan.name,
        TRAINING_JOB_ARN=f"arn:aws:sagemaker:local:000000000000:training-job/{plan.name}",
        SAGEMAKER_JOB_NAME=plan.name,
        CURRENT_HOST=HOST,
        PYTHONUNBUFFERED="1",
    )
    if plan.entry is not None:
        variables["SAGEMAKER_PROGRAM"] = plan.entry
    variables[METRICS_FILE] = metrics_file(base)
    python_path = _python_path(plan, code)
    if python_path:
        variables["PYTHONPATH"] = python_path
    return {**{name: _text(value) for name, value in variables.items()}, **_without_python_path(plan.environment)}


def metrics_file(base: str) -> str:
    return os.path.join(base, "output", "metrics.jsonl")


def failure_file(base: str) -> str:
    return os.path.join(base, "output", "failure")


def input_data_config(plan: JobPlan) -> Dict[str, Dict[str, str]]:
    config: Dict[str, Dict[str, str]] = {}
    for name in plan.channels:
        config[name] = {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        if name in plan.content_types:
            config[name]["ContentType"] = plan.content_types[name]
    return config


def resource_config() -> Dict[str, Any]:
    return {"current_host": HOST, "hosts": [HOST], "network_interface_name": NETWORK_INTERFACE}


def user_hyperparameters(hyperparameters: Dict[str, str]) -> Dict[str, Any]:
    """Those that are the user's, decoded; SageMaker keeps `sagemaker_*` for itself."""
    return {name: _decoded(value) for name, value in hyperparameters.items() if not _reserved(name)}


def user_arguments(hyperparameters: Dict[str, str]) -> List[str]:
    """`--name value` for each, by name; `-n value` where the name is one letter."""
    words: List[str] = []
    for name, value in sorted(user_hyperparameters(hyperparameters).items()):
        words.append(f"--{name}" if len(name) > 1 else f"-{name}")
        if isinstance(value, dict):
            pairs: Dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType] (JSON: any object)
            words.append(",".join(f"{key}={pairs[key]}" for key in sorted(pairs)))
        else:
            words.append("" if value is None else str(value))
    return words


def _facts(plan: JobPlan) -> Dict[str, Any]:
    """What SM_TRAINING_ENV has as one object and the SM_* variables one by one."""
    base = plan.base
    reserved = {name: _decoded(value) for name, value in plan.hyperparameters.items() if _reserved(name)}
    return {
        "channel_input_dirs": {name: _channel(base, name) for name in plan.channels},
        "channels": sorted(plan.channels),
        "checkpoint_dir": os.path.join(base, CHECKPOINTS),
        "current_host": HOST,
        "current_instance_group": "homogeneousCluster",
        "current_instance_group_hosts": [HOST],
        "current_instance_type": "local",
        "distribution_instance_groups": [],
        "framework_module": "",
        "framework_params": reserved,
        "hosts": [HOST],
        "input_config_dir": os.path.join(base, "input", "config"),
        "input_data_config": input_data_config(plan),
        "input_dir": os.path.join(base, "input"),
        "instance_groups": ["homogeneousCluster"],
        "instance_groups_dict": {
            "homogeneousCluster": {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "local",
                "hosts": [HOST],
            }
        },
        "is_hetero": False,
        "is_master": True,
        "log_level": 20,
        "master_hostname": HOST,
        "model_dir": os.path.join(base, "model"),
        "module_dir": os.path.join(base, "code"),
        "module_name": _module_name(plan),
        "network_interface_name": NETWORK_INTERFACE,
        "num_cpus": _cpus(),
        "num_gpus": 0,
        "num_neurons": 0,
        "output_data_dir": os.path.join(base, "output", "data"),
        "output_dir": os.path.join(base, "output"),
        "output_intermediate_dir": os.path.join(base, "output", "intermediate"),
        "resource_config": resource_config(),
        "user_entry_point": plan.entry or "",
    }


def _module_name(plan: JobPlan) -> str:
    return (plan.entry or "").removesuffix(".py")


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _channel(base: str, name: str) -> str:
    return os.path.join(base, "input", "data", name)


def _reserved(name: str) -> bool:
    return name.startswith(_RESERVED_PREFIX) or name in _RESERVED_NAMES


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _text(value: Any) -> str:
    """A value as an environment variable has it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _python_path(plan: JobPlan, code: str) -> str:
    folders = [os.path.join(code, plan.python_path)] if plan.python_path else []
    if plan.entry is not None:
        folders.append(code)
    given = plan.environment.get("PYTHONPATH")
    return os.pathsep.join(folders + ([given] if given else []))


def _without_python_path(variables: Dict[str, str]) -> Dict[str, str]:
    return {name: value for name, value in variables.items() if name != "PYTHONPATH"}
