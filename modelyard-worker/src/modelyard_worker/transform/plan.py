"""What a batch transform is asked for: part of what both sides of a border agree on.

Names and limits are SageMaker's CreateTransformJob. `Auto` is ours: what suits the data and the model, so that a file
of rows needs no options at all. The file `plan.json` in the transform's folder holds it.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from modelyard_worker.records import read_json, write_json
from modelyard_worker.transform import json_paths

PLAN = "plan.json"
"""The plan, in the transform's folder."""
PROGRESS = "progress.json"
RESULT = "result.json"
FAILED = "failed.jsonl"
"""Every object that has no output, with the reason."""

AUTO = "Auto"
NONE = "None"
LINE = "Line"
MULTI_RECORD = "MultiRecord"
SINGLE_RECORD = "SingleRecord"
GZIP = "Gzip"
INPUT = "Input"
SKIP = "Skip"
REPEAT = "Repeat"

SPLITS = (AUTO, NONE, LINE)
STRATEGIES = (AUTO, MULTI_RECORD, SINGLE_RECORD)
ASSEMBLIES = (AUTO, NONE, LINE)
COMPRESSIONS = (AUTO, NONE, GZIP)
JOINS = (NONE, INPUT)
HEADERS = (NONE, SKIP, REPEAT)
NOT_SERVED = {
    "RecordIO": "its framing is of MXNet's time and holds what only SageMaker's own algorithms read; write JSON Lines "
    "or Parquet instead",
    "TFRecord": "its records are TensorFlow's own protocol buffers; write JSON Lines or Parquet instead",
}
"""Splits of SageMaker's that are refused, and why."""

PAYLOAD_MB_MAX = 100.0
PAYLOAD_MB_DEFAULT = 6.0
"""SageMaker's default and limit of MaxPayloadInMB; 0 is without limit."""
CONCURRENT_PAYLOAD_MB_MAX = 100.0
"""SageMaker's limit of MaxConcurrentTransforms times MaxPayloadInMB."""
PROCESSES_MAX = 64
TIMEOUT_SECONDS_MAX = 3600.0
RETRIES_MAX = 3
BATCH_SIZE_MAX = 4096


class TransformPlan(NamedTuple):
    """One transform. Paths are absolute and on the yard's machine."""

    name: str
    package: str
    """Folder of the package that scores."""
    input: str
    """A file, a folder, an http(s) URL, or an s3 URL of an object or of all whose keys begin so."""
    output: str
    """A folder, or an s3 URL; each object becomes a file of its name and `.out` there."""
    content_type: str = ""
    """What the input is; empty tells by file names."""
    accept: str = ""
    """What the output is to be; empty is the same as the input where the model writes that."""
    split: str = AUTO
    strategy: str = AUTO
    assemble: str = AUTO
    max_payload_mb: float = PAYLOAD_MB_DEFAULT
    processes: int = 0
    """MaxConcurrentTransforms; 0 is one a core."""
    compression: str = AUTO
    csv_header: str = NONE
    """What the first line of each CSV object is: a row (None), names to leave out (Skip), names that every request
    begins with (Repeat)."""
    input_filter: str = json_paths.WHOLE
    output_filter: str = json_paths.WHOLE
    join: str = NONE
    timeout_seconds: float = 600.0
    """InvocationsTimeoutInSeconds."""
    retries: int = 3
    """InvocationsMaxRetries."""
    batch_size: int = 256
    """Records in one call of a model that takes them one by one and several at a time."""
    base: str = ""
    """Folder of the transform itself; empty is the folder that holds the plan."""
    endpoint: str = ""
    """What `context.endpoint` says to the user's code."""
    job: Optional[Dict[str, Any]] = None
    """What it is given as `job_spec`, where it asks for that."""
    version: int = 1


def problem_of(plan: TransformPlan) -> Optional[str]:
    """Why the plan cannot be, as a sentence that names the field; None where it can."""
    return _problem_of_words(plan) or _problem_of_numbers(plan) or _problem_of_filters(plan)


def _problem_of_words(plan: TransformPlan) -> Optional[str]:
    if plan.split in NOT_SERVED:
        return f"split {plan.split} is not served: {NOT_SERVED[plan.split]}"
    fields: List[Any] = [
        ("split", plan.split, SPLITS),
        ("strategy", plan.strategy, STRATEGIES),
        ("assemble", plan.assemble, ASSEMBLIES),
        ("compression", plan.compression, COMPRESSIONS),
        ("join", plan.join, JOINS),
        ("csv_header", plan.csv_header, HEADERS),
    ]
    for field, found, allowed in fields:
        if found not in allowed:
            return f"{field} is {found!r}; allowed are {', '.join(allowed)}"
    if plan.strategy == SINGLE_RECORD and plan.split == NONE:
        return "strategy SingleRecord needs a split: without one a request is a whole object"
    if plan.csv_header == REPEAT and plan.join != NONE:
        return "csv_header Repeat cannot be joined: answers to tables with names have names of their own"
    return None


def _problem_of_numbers(plan: TransformPlan) -> Optional[str]:
    limits: List[Any] = [
        ("max_payload_mb", plan.max_payload_mb, 0, PAYLOAD_MB_MAX),
        ("processes", plan.processes, 0, PROCESSES_MAX),
        ("timeout_seconds", plan.timeout_seconds, 1, TIMEOUT_SECONDS_MAX),
        ("retries", plan.retries, 0, RETRIES_MAX),
        ("batch_size", plan.batch_size, 1, BATCH_SIZE_MAX),
    ]
    for field, found, least, most in limits:
        if not least <= found <= most:
            return f"{field} is {found:g}; allowed is {least:g} to {most:g}"
    if plan.processes * plan.max_payload_mb > CONCURRENT_PAYLOAD_MB_MAX:
        return (
            f"processes ({plan.processes}) times max_payload_mb ({plan.max_payload_mb:g}) is over "
            f"{CONCURRENT_PAYLOAD_MB_MAX:g}"
        )
    return None


def _problem_of_filters(plan: TransformPlan) -> Optional[str]:
    for field, text in (("input_filter", plan.input_filter), ("output_filter", plan.output_filter)):
        try:
            json_paths.parse(text)
        except ValueError as error:
            return f"{field}: {error}"
    if plan.join == INPUT and plan.accept and plan.content_type and plan.accept != plan.content_type:
        return "a join needs the same type on both sides: accept is not content_type"
    if plan.join == INPUT and AUTO not in (plan.assemble, plan.split) and plan.assemble != plan.split:
        return "a join needs assemble to be the same as split"
    return None


def write_plan(folder: str, plan: TransformPlan) -> None:
    write_json(os.path.join(folder, PLAN), plan._asdict())


def read_plan(folder: str) -> TransformPlan:
    """Raises FileNotFoundError where there is none."""
    found: Optional[Dict[str, Any]] = read_json(os.path.join(folder, PLAN))
    if found is None:
        raise FileNotFoundError(f"cannot read {os.path.join(folder, PLAN)}: not there, or not JSON")
    plan = TransformPlan(**{key: value for key, value in found.items() if key in TransformPlan._fields})
    return plan if plan.base else plan._replace(base=folder)
