"""Writes the generated pages of docs/reference anew, from the code that they are about; a test compares.

python -m contributing.reference
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import click
import typer
from modelyard_worker.algorithms import port
from modelyard_worker.job_environment import ALGORITHMS
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import modelyard.errors
from contributing.docstrings import field_docstrings
from modelyard.api.errors import STATUSES
from modelyard.cli.main import app
from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.strategies import Guard, UpdateStrategy
from modelyard.errors import ModelyardError, error_types
from modelyard.gateway.answers import face_of
from modelyard.manifest import schema
from modelyard.manifest.endpoints import fields_without_effect
from modelyard.manifest.trainings import TrainingResource
from modelyard.settings import CareSettings, MailSettings, TracesSettings, YardSettings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_MADE = "<!-- Made by `make reference`; change the code that it describes instead. -->\n"


def pages() -> dict[str, str]:
    """File name -> content."""
    return {
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "yard-file.md": yard_file_page(),
        "commands.md": commands_page(),
        "algorithms.md": algorithms_page(),
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


# Algorithms


def algorithms_page() -> str:
    made = [port.algorithm_named(name) for name in ALGORITHMS if name != "xgboost"]
    return f"""# Built-in algorithms

{_MADE}
`algorithm: NAME` in a [training](yard-file.md) trains one without code. The channel `train` is learned from, the
channel `validation` is measured on, where it is there. A file is CSV without a header, with the label first where
there is one, or libsvm (`content_type: text/libsvm`). `content_type: text/csv;label_size=0` says that there is no
label, `label_size=1` that there is one; the first of the sizes that a section names is the default.

What is trained deploys by its name like any other model. An unknown hyperparameter is refused.

## `xgboost`

Gradient boosting, with the hyperparameters of [SageMaker's own XGBoost](https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html).
`label_size` 1. Logs `train-METRIC` and `validation-METRIC` each round.

{"".join(map(_algorithm, made))}"""


def _algorithm(algorithm: port.Algorithm) -> str:
    rows = [
        (f"`{one.name}`", one.kind.describe(), _shown_default(one.default), one.about)
        for one in algorithm.hyperparameters
    ]
    required = [line for line in algorithm.requirements if not line.startswith("#")]
    needs = f" Its own environment gets {', '.join(required)}." if required else ""
    return f"""## `{algorithm.name}`

{algorithm.about} `label_size` {" or ".join(algorithm.label_sizes)}.{needs}

{_table(("hyperparameter", "value", "default", "meaning"), rows)}
"""


def _shown_default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        f"`{','.join(str(one) for one in cast('tuple[int, ...]', value))}`"
        if isinstance(value, tuple)
        else f"`{value}`"
    )


# Errors


def errors_page() -> str:
    causes = dict(re.findall(r"[|`]-- (\w+) +(.+)", inspect.getdoc(modelyard.errors) or ""))
    rows = [
        (f"`{code}`", causes.get(kind.__name__, "a fault of the yard's own"), kind.remedy, *_statuses(code))
        for code, kind in sorted(error_types().items(), key=lambda item: _place(item[1]))
    ]
    return f"""# Errors

{_MADE}
Every failure has one shape, `{{"error": {{"code", "message", "hint", "request_id"}}}}`: the code is for programs and
stays, the message begins with "cannot" and names the thing and the place, the hint names the remedy of this very one.

On `/endpoints/*` the body also has SageMaker's `Message` and `OriginalStatusCode`, and the header `x-amzn-errortype`;
requests that are signed for AWS, or came under `/aws`, get the statuses of SageMaker's runtime.

What a predictor raised is in the log under the request's id, whole. A caller who holds the yard's key hears its type
and its text; everybody else its type alone, for the text may hold what is not theirs to know.

{_table(("code", "cause", "remedy", "API", "predictions", "signed predictions", "`x-amzn-errortype`"), rows)}
A body may be refused with a more exact status than its code's: 405 for a method, 406 for `Accept`, 415 for
`Content-Type`, 431 for headers over their limit. A request without a length and without chunks has no body (RFC 9112,
6.3), so 411 is never answered.
"""


def _statuses(code: str) -> tuple[str, str, str, str]:
    face = face_of(code)
    return str(STATUSES[code]), str(face.status), str(face.signed_status), face.amazon_type


def _place(kind: type[ModelyardError]) -> int:
    """Where it stands in the file, which is the order of the tree."""
    return inspect.getsourcelines(kind)[1]


# Settings


def settings_page() -> str:
    return f"""# Settings of a yard

{_MADE}
What one endpoint or one training is told stands in the [yard file](yard-file.md). This is what the yard itself is told,
by options of `modelyard up` and by variables of the environment in which it is started.

## Where it is

{_table(("setting", "default", "meaning"), _yard_rows())}
## How it keeps its disk in order

Plain numbers, each in the unit that ends its name.

{_table(("variable", "unit", "default", "meaning"), list(_care_rows()))}
## How alarms send mail

{_table(("variable", "default", "meaning"), list(_rows_of(MailSettings, "MAIL")))}
## Where traces go

{_table(("variable", "default", "meaning"), list(_rows_of(TracesSettings, "TRACES")))}"""


def _yard_rows() -> list[tuple[str, str, str]]:
    described = field_docstrings(YardSettings)
    rows = [
        ("`MODELYARD_HOME`", "`~/.modelyard`", "The folder that holds everything of the yard."),
        ("`MODELYARD_URL`", "the home's yard", "The yard that commands and programs speak to."),
        ("`MODELYARD_API_KEY`", "the home's file `key`", "The key that they send; for a yard on another machine."),
    ]
    options = dataclasses.fields(YardSettings)
    # What may be said several times is one thing each time: `names` is `--name`.
    words = {one.name: one.name.removesuffix("s").replace("_", "-") for one in options if one.default == ()}
    return rows + [
        (
            f"`modelyard up --{words.get(one.name, one.name.replace('_', '-'))}`",
            f"`{one.default}`" if one.default else "",
            described[one.name],
        )
        for one in options
    ]


def _care_rows() -> Iterator[tuple[str, str, str, str]]:
    described = field_docstrings(CareSettings)
    for one in dataclasses.fields(CareSettings):
        unit = next((unit for unit in ("seconds", "bytes", "share") if f"_{unit}" in one.name), "")
        yield f"`MODELYARD_{one.name.upper()}`", unit, _amount(one.name, one.default), described[one.name]


def _rows_of(settings: type[MailSettings] | type[TracesSettings], prefix: str) -> Iterator[tuple[str, str, str]]:
    described = field_docstrings(settings)
    for one in dataclasses.fields(settings):
        default = "" if one.default in (dataclasses.MISSING, None) else f"`{one.default}`"
        yield f"`MODELYARD_{prefix}_{one.name.upper()}`", default, described[one.name]


def _amount(name: str, value: Any) -> str:
    """`1 GiB (1073741824)`, `30 d (2592000)`, `0.05`."""
    units = ((2**30, "GiB"), (2**20, "MiB")) if "_bytes" in name else ()
    units = ((86400, "d"), (3600, "h"), (60, "min")) if "_seconds" in name else units
    for size, unit in units:
        if value >= size and value % size == 0:
            return f"{value / size:g} {unit} ({value:.0f})"
    return f"{value:g}" if isinstance(value, float) else str(value)


# The yard file


_SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("`kind: endpoint`", "", schema.EndpointFields),
    ("`predictor`", "predictor.", schema.PredictorFields),
    ("`compute`", "compute.", schema.ComputeFields),
    ("`models`", "models.", schema.ModelsFields),
    ("`autoscaling`", "autoscaling.", schema.AutoscalingFields),
    ("`update_strategy`", "update_strategy.", schema.UpdateFields),
    ("`variants`", "variants.", schema.VariantFields),
    ("`update_strategy.auto_rollback`", "auto_rollback.", schema.AutoRollbackFields),
    ("`tracker`", "tracker.", schema.TrackerFields),
    ("`capture`", "capture.", schema.CaptureFields),
    ("`server_side_batching`", "server_side_batching.", schema.BatchingFields),
    ("`networking`", "networking.", schema.NetworkingFields),
    ("`kind: function`", "function.", schema.FunctionFields),
    ("`kind: app`", "app.", schema.AppFields),
    ("`kind: site`", "site.", schema.SiteFields),
    ("`kind: gateway`", "gateway.", schema.GatewayFields),
    ("`routes`", "routes.", schema.GatewayRouteFields),
    ("`cors`", "cors.", schema.CorsFields),
    ("`keys`", "keys.", schema.GatewayKeyFields),
    ("`plans`, `throttle`", "plans.", schema.PlanFields),
    ("`authorizers`", "authorizers.", schema.AuthorizerFields),
    ("`kind: alarm`", "", schema.AlarmFields),
    ("`actions`", "actions.", schema.AlarmActionFields),
    ("`webhooks`", "webhooks.", schema.WebhookFields),
    ("`kind: traffic_splitter`", "", schema.SplitterFields),
    ("`apis`", "", schema.SplitMemberFields),
    ("`kind: training`", "", schema.TrainingFields),
    ("`inputs.CHANNEL`", "inputs.", schema.ChannelFields),
    ("`compute` of a training", "", schema.TrainingComputeFields),
    ("`retries`", "", schema.RetryFields),
    ("`schedule`", "schedule.", schema.ScheduleFields),
    ("`kind: batch`", "batch.", schema.BatchFields),
    ("`kind: tuning`", "", schema.TuningFields),
    ("`objective`", "", schema.ObjectiveFields),
    ("`parameters.NAME`", "", schema.ParameterFields),
)

_DOMAIN = {
    "compute.cpu": "cpu_millis",
    "compute.mem": "memory_bytes",
    "autoscaling.threads_per_process": "threads_per_process",
    "update_strategy.max_surge": "max_surge",
    "update_strategy.max_unavailable": "max_unavailable",
    "update_strategy.type": "type",
    "update_strategy.steps": "steps",
    "update_strategy.step_size": "step_percent",
    "update_strategy.sample": "sample_percent",
    "update_strategy.compare": "compare",
    "update_strategy.tolerance": "tolerance",
    "auto_rollback.error_rate": "error_rate",
    "auto_rollback.min_requests": "min_requests",
    "max_batch_size": "max_batch_size",
    "max_in_flight": "max_in_flight",
    "max_queue_length": "max_queue_length",
    "max_body": "max_body_bytes",
    "timeout": "timeout_seconds",
    "start_limit": "start_seconds",
    "drain_limit": "drain_seconds",
    "idempotent": "idempotent",
    "app.timeout": "timeout_seconds",
    "app.start_limit": "start_seconds",
    "require_approval": "require_approval",
    "autoscaling.min_replicas": "min_replicas",
    "autoscaling.window": "window_seconds",
    "autoscaling.upscale_stabilization_period": "upscale_stabilization_seconds",
    "autoscaling.downscale_stabilization_period": "downscale_stabilization_seconds",
    "autoscaling.max_upscale_factor": "max_upscale_factor",
    "autoscaling.downscale_kept_share": "downscale_kept_share",
    "autoscaling.upscale_tolerance": "upscale_tolerance",
    "autoscaling.downscale_tolerance": "downscale_tolerance",
    "autoscaling.burst_factor": "burst_factor",
    "autoscaling.last_replica_delay": "last_replica_delay_seconds",
    "max_runtime": "max_runtime_seconds",
    "stop_grace": "stop_grace_seconds",
}
"""Field of the file -> field of the domain that has its default."""

_UNITS = (
    ("CpuMillis", "cores (`0.5`) or thousandths of one (`200m`)"),
    ("MemoryBytes", "bytes (`512Mi`, `2Gi`)"),
    ("SizeBytes", "bytes (`6Mi`)"),
    ("OwnPort", "port (1 to 65535)"),
    ("PositiveSeconds", "duration (`500ms`, `60s`, `5m`), more than nothing"),
    ("Seconds", "duration (`500ms`, `60s`, `5m`)"),
    (r"list\[Percent", "list of percentages (`10%`)"),
    (r"list\[Name", "list of names"),
    ("Percent", "percentage (`10%`)"),
    ("Share", "count (`1`) or percentage (`25%`)"),
    ("Environment", "map"),
    ("Access", "word or map"),
    ("Variants", "list of sections"),
    ("ModelName", "name"),
    ("Model", "name or path"),
    ("Name", "DNS label"),
    ("CountOrNone", "count, from 0"),
    ("BatchSize", "count"),
    ("Count", "count"),
    ("Schedule", "cron expression or section"),
    ("Literal", "word"),
    ("Fields", "section"),
    ("dict", "map"),
    ("list", "list"),
    ("bool", "`true` or `false`"),
    ("int", "count"),
    ("float", "number"),
    ("Factor", "number, from 0"),
    ("str", "text"),
)
"""A word of the annotation -> what people write."""


def yard_file_page() -> str:
    header = ("field", "what it is", "limit", "default", "meaning")
    sections = "\n".join(
        f"## {title}\n\n{_table(header, list(_field_rows(kind, prefix)))}" for title, prefix, kind in _SECTIONS
    )
    return f"""# The yard file

{_MADE}
`modelyard.yaml` is a list of resources. Names and meanings are Cortex's wherever Cortex has the thing. An unknown
field, a wrong type or an impossible value is refused before anything changes, with its line and the nearest valid
spelling.

{sections}"""


def _field_rows(kind: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    described = field_docstrings(kind)
    written = _annotations(kind)
    idle = fields_without_effect()
    for name, field in kind.model_fields.items():
        place = f"{prefix}{field.alias or name}"
        meaning = described[name] + (" Without effect so far." if place in idle else "")
        yield (
            f"`{field.alias or name}`",
            _unit(written[name]),
            _limit(written[name]),
            _default(place, field),
            meaning,
        )


def _annotations(kind: type[BaseModel]) -> dict[str, str]:
    """Field -> its annotation as the file has it, where names of types and limits still stand."""
    source = inspect.getsource(kind)
    return dict(re.findall(r"^    (\w+): (.+?)(?: = .*)?$", source, re.MULTILINE))


def _unit(annotation: str) -> str:
    if "_none_of" in annotation or "_only_one" in annotation:
        return "`1`" if "_only_one" in annotation else "`0`"
    if words := re.search(r"Literal\[(.*?)\]", annotation):
        return " or ".join(f"`{word.strip().strip(chr(34))}`" for word in words[1].split(","))
    return next(text for word, text in _UNITS if re.search(rf"{word}\b", annotation))


def _limit(annotation: str) -> str:
    """`1 to 256`, `at most 3600`; nothing where there is none."""
    if "BatchSize" in annotation:
        annotation += " le=BATCH_SIZE_MAX"
    found = {word: _number(text) for word, text in re.findall(r"\b(ge|gt|le|lt)=([\w.]+)", annotation)}
    least = f"from {found['ge']}" if "ge" in found else f"more than {found['gt']}" if "gt" in found else ""
    most = f"at most {found['le']}" if "le" in found else f"less than {found['lt']}" if "lt" in found else ""
    limit = ", ".join(part for part in (least, most) if part)
    return f"{limit} s" if limit and "Seconds" in annotation else limit


def _number(text: str) -> str:
    value = getattr(schema, text) if text.isupper() else float(text)
    return f"{value / 2**20:.0f}Mi" if value >= 2**20 and value % 2**20 == 0 else f"{value:.10g}"


def _default(place: str, field: FieldInfo) -> str:
    name = _DOMAIN.get(place)
    for owner in (EndpointSpec, Autoscaling, UpdateStrategy, Guard, TrainingResource):
        known = cast("dict[str, dataclasses.Field[Any]]", owner.__dataclass_fields__).get(name or "")
        if known is not None and known.default is not dataclasses.MISSING:
            return "" if known.default is None else _shown(name or "", known.default)
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    return "" if default is None or isinstance(default, BaseModel) or default == {} else _shown("", default)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if name.endswith("_seconds"):
        return f"`{value:g}s`"
    if name == "steps":
        return f"`{[f'{one:g}%' for one in value]}`".replace("'", "")
    if name.endswith("_percent"):
        return f"`{value:g}%`"
    if name == "error_rate":
        return f"`{value:.0%}`"
    return f"`{value // 2**20}Mi`" if name.endswith("_bytes") else f"`{value}`"


# Commands


def commands_page() -> str:
    program = cast("click.Group", typer.main.get_command(app))
    context = click.Context(program, info_name="modelyard")
    parts = [_command(program.commands[name], context) for name in sorted(program.commands)]
    return f"""# Commands

{_MADE}
`--help` after any of them says the same. Exit codes are 0 done, 1 failed, 2 wrong usage, 130 interrupted. Results go to
standard output, everything about the work to standard error; `-o json` makes the result one JSON document.

{"".join(parts).rstrip()}
"""


def _command(command: click.Command, parent: click.Context, title: str = "modelyard") -> str:
    name = f"{title} {command.name}"
    context = click.Context(command, info_name=command.name, parent=parent)
    if isinstance(command, click.Group):
        return "".join(_command(command.commands[one], context, name) for one in sorted(command.commands))
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_parameter(one) for one in command.params if not getattr(one, "hidden", False)]
    table = _table(("option", "default", "meaning"), rows) if rows else ""
    described = " ".join((command.help or "").split())
    return f"## `{name}`\n\n{described}\n\n```\n{name} {usage}\n```\n\n{table}\n"


def _parameter(one: click.Parameter) -> tuple[str, str, str]:
    options = ", ".join(f"`{option}`" for option in (*one.opts, *one.secondary_opts))
    if isinstance(one, click.Argument):
        options = f"`{one.human_readable_name}`"
    default: Any = one.default
    shown = "" if default is None or callable(default) or default is False else str(getattr(default, "value", default))
    words = cast("Sequence[str]", getattr(getattr(one, "type", None), "choices", ()))
    allowed = f" One of {', '.join(map(str, words))}." if words else ""
    return options, f"`{shown}`" if shown else "", f"{getattr(one, 'help', None) or ''}{allowed}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, content in pages().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
