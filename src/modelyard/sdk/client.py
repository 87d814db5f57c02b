"""The client: every noun of a yard over its REST interface."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from modelyard.domain import splitters
from modelyard.domain.models import parse_model_reference
from modelyard.domain.names import RESOURCE_KINDS, SERVED_KINDS, check_model_name, check_name, name_key, resolve
from modelyard.domain.replays import REQUESTS_DEFAULT, TOLERANCE, Report
from modelyard.errors import NotFound
from modelyard.protocol.routes import (
    API,
    ASYNC_INVOCATIONS,
    ENDPOINTS,
    HEALTH,
    INVOCATIONS,
    TARGET_MODEL,
    TARGET_VARIANT,
)
from modelyard.protocol.views import HeadlinesView, OverviewView, SecretsView, SecretView, UsagesView, view_from
from modelyard.protocol.views_of_endpoints import EndpointsView, EndpointView, HistoryView
from modelyard.protocol.views_of_scaling import LoadsView, LoadView, ScalingView
from modelyard.protocol.views_of_schedules import SchedulesView, ScheduleView
from modelyard.protocol.views_of_transforms import TransformsView, TransformView
from modelyard.protocol.views_of_tunings import TuningsView, TuningView
from modelyard.sdk.access import AccessClient
from modelyard.sdk.account import caller
from modelyard.sdk.address import Address, check_url, find_address
from modelyard.sdk.alarms import AlarmHistoryView, AlarmView, DeliveryView
from modelyard.sdk.captures import CapturesView
from modelyard.sdk.connection import Connection
from modelyard.sdk.deployments import Deployment, deploy_file, detect_files
from modelyard.sdk.development import Development
from modelyard.sdk.labels import project_of
from modelyard.sdk.metrics import MetricsView
from modelyard.sdk.packages import SUFFIX, Built, deploy_archive, export_archive, import_archive
from modelyard.sdk.predictions import answer_value, request_body
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.replays import against_document, follow_replay
from modelyard.sdk.trainings import choose_training, start_training, start_tuning
from modelyard.sdk.transforms import start_transform
from modelyard.sdk.uploads import send_tree
from modelyard.sdk.views import (
    AliasView,
    CollectedView,
    EventView,
    InspectedView,
    LinkView,
    ModelVersionView,
    ModelView,
    OutcomeView,
    PackageView,
    PointView,
    ResourceView,
    RunView,
    StatusView,
)
from modelyard.sdk.waiting import (
    endpoint_settled,
    environment_is_built,
    rollout_goes_on,
    run_ended,
    transform_ended,
    tuning_ended,
    wait_gone,
    wait_until,
)

if TYPE_CHECKING:
    import httpx

    from modelyard.manifest.trainings import TrainingResource
    from modelyard.manifest.tunings import TuningResource
    from modelyard.manifest.yard_file import YardFile

Kind = str
"""`endpoint`, `model`, `run`, `transform`, `tuning`, or one of `domain.names.RESOURCE_KINDS`."""

IDLE_SECONDS = 3600.0
LIVE_SECONDS = 300.0
GONE_SECONDS = 120.0
LOG_LINES = 100
LOG_LINES_ALL = 10_000
"""As many as the yard hands out at once."""


POINTS_AT_ONCE = 5000


class Client:
    """A yard, as programs see it. Without arguments it is the yard that `MODELYARD_URL` names, or that of the home.

    Every method raises errors of `modelyard.errors`: YardDown where no yard answers, and whatever the yard refused
    with. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        transport: "httpx.BaseTransport | None" = None,
        own_files: bool = True,
    ) -> None:
        """`own_files`: see `Connection`."""
        address = Address(check_url(url), key) if url else find_address()
        if key and not url:
            address = Address(address.url, key)
        self._connection = Connection(address, transport, own_files=own_files)

    @property
    def url(self) -> str:
        return self._connection.address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def access(self) -> AccessClient:
        """People, groups, keys, sessions, the audit log."""
        return AccessClient(self._connection)

    # The yard itself

    def status(self) -> StatusView:
        return self._connection.get("/status")

    def overview(self, *, idle_seconds: float = IDLE_SECONDS, limit: int = 20) -> OverviewView:
        """What runs, what is wrong, what nobody has asked for `idle_seconds`: the first few of each."""
        asked = {"idle_seconds": idle_seconds, "limit": limit}
        return view_from(OverviewView, self._connection.get("/overview", asked))

    def headlines(
        self,
        *,
        text: str = "",
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        project: str = "",
        limit: int = 100,
        offset: int = 0,
    ) -> HeadlinesView:
        """Endpoints, apps and functions by name, a line each: those with `text` in the name or the model's."""
        asked = {"text": text, "state": states, "kind": kinds, "project": project, "limit": limit, "offset": offset}
        return view_from(HeadlinesView, self._connection.get("/headlines", asked))

    def healthy(self) -> bool:
        """Whether the yard answers at all."""
        return self._connection.answers(HEALTH)

    def answers(self) -> bool:
        """Whether its interface answers too, which begins after predictions do."""
        return self._connection.answers(f"{API}/login/providers")

    def events(self, kind: str | None = None, name: str | None = None, limit: int = 100) -> list[EventView]:
        """Newest first."""
        return self._connection.get("/events", {"kind": kind, "name": name, "limit": limit})["events"]

    def link(self) -> LinkView:
        """A link that opens the console in a browser, once, within a minute."""
        return self._connection.post("/links", {})

    def resolve(self, text: str, kinds: Iterable[Kind]) -> tuple[Kind, str]:
        """The (kind, name) that `NAME` or `KIND/NAME` means among `kinds`. Raises NotFound, Ambiguous."""
        wanted = list(kinds)
        prefix, slash, name = text.partition("/")
        if slash and prefix in SERVED_KINDS and "endpoint" in wanted:
            # What is known of an app or a function is known of an endpoint too, by the same name.
            prefix, text = "endpoint", f"endpoint/{name}"
        known: list[tuple[str, str]] = []
        asked = [one for one in wanted if one == prefix] if slash else wanted
        asked = asked or wanted
        for kind in ("endpoint", "model", "run", "transform", "tuning"):
            known += [(kind, name) for name in self._names(kind)] if kind in asked else []
        if any(kind in RESOURCE_KINDS for kind in asked):
            known += [(one["kind"], one["name"]) for one in self.resources() if one["kind"] in asked]
        try:
            return resolve(text, known)
        except NotFound:
            if "endpoint" in asked:
                self._refuse_splitter(text)
            raise

    def _refuse_splitter(self, text: str) -> None:
        """Raises NotFound with what to name instead, where several endpoints answer under a name."""
        for one in self.resources(splitters.KIND):
            if name_key(one["name"]) == name_key(text.removeprefix("endpoint/")):
                members = [str(member["endpoint"]) for member in one["spec"]["members"]]
                raise NotFound(
                    f"cannot do this with {one['name']}: several endpoints answer under this name",
                    f"name one of them: {', '.join(members)}",
                )

    def _names(self, kind: Kind) -> list[str]:
        if kind == "endpoint":
            return [one.name for one in self.endpoints()]
        if kind == "model":
            return [one["model"] for one in self.models()]
        if kind == "tuning":
            return [one.id for one in self.tunings(limit=1000)]
        if kind == "transform":
            return [one.id for one in self.transforms(limit=1000)]
        return [one["id"] for one in self.runs(limit=1000)]

    # Endpoints

    def deploy(
        self,
        what: "str | Path | YardFile | None" = None,
        *,
        project: str | None = None,
        name: str | None = None,
        prune: bool = False,
        progress: Progress = no_progress,
    ) -> Deployment:
        """Deploys a yard file (default: that of the present folder), a model's file as an endpoint called `name`, or a
        package's file.

        All resources are wished at once or none is. `prune` deletes what the project's file wished before and does not
        any more. Returns as soon as that is on the yard's disk; `wait_endpoint`
        waits until they serve.
        """
        chosen = Path(what or ".") if what is None or isinstance(what, str) else what
        if isinstance(chosen, Path) and chosen.suffix.lower() == SUFFIX:
            return deploy_archive(self._connection, chosen, project=project, name=name, progress=progress)
        return deploy_file(self._connection, chosen, project=project, name=name, prune=prune, progress=progress)

    def develop(
        self, file: "str | Path | None" = None, *, project: str | None = None, only: Sequence[str] = ()
    ) -> Development:
        """What a yard file (default: that of the present folder) has of endpoints, functions and apps, to be worked on
        under names of their own; `only` names some of them."""
        return Development(self._connection, Path(file or "."), project=project, only=only)

    def resources(self, kind: str | None = None, project: str | None = None) -> list[ResourceView]:
        """What is wished of kinds other than endpoints, by kind and name."""
        return self._connection.get("/resources", {"kind": kind, "project": project})["resources"]

    def resource(self, kind: str, name: str) -> ResourceView:
        return self._connection.get(f"/resources/{_part(kind)}/{_part(name)}")

    def rollback_resource(self, kind: str, name: str, to: int | None = None) -> ResourceView:
        """Wishes for an earlier version again, by default the one before. Returns what is wished then."""
        return self._connection.post(f"/resources/{_part(kind)}/{_part(name)}/rollback", {"to": to, "by": caller()})

    def delete_resource(self, kind: str, name: str) -> ResourceView:
        """Returns what it was."""
        return self._connection.delete(f"/resources/{_part(kind)}/{_part(name)}")

    def endpoints(self) -> list[EndpointView]:
        return view_from(EndpointsView, self._connection.get("/endpoints")).endpoints

    def endpoint(self, name: str) -> EndpointView:
        return view_from(EndpointView, self._connection.get(f"/endpoints/{_part(name)}"))

    def schema(self, name: str) -> dict[str, Any]:
        """What an endpoint takes and gives, as its replicas said it: `input` and `output` as JSON Schema,
        `content_types`, an `example`. Raises NotReady until one of them was ready."""
        return self._connection.get(f"/endpoints/{_part(name)}/schema")

    def wait_endpoint(
        self,
        name: str,
        version: int | None = None,
        *,
        limit_seconds: float | None = None,
        progress: Callable[[EndpointView], None] | None = None,
    ) -> EndpointView:
        """Waits until a version (default: the newest) serves with all its replicas, or cannot; the state says which.

        Of one that goes on in steps, to the end, however long the steps stand, or until only people can say when it
        goes on. Raises DeadlinePassed after `limit_seconds`; by default after LIVE_SECONDS, not counting the time that
        its environment takes to be built.
        """
        settled = endpoint_settled(version)
        what = f"endpoint {name}"
        patient = limit_seconds is None

        def on_time(view: EndpointView) -> bool:
            return rollout_goes_on(view) or (patient and environment_is_built(view))

        limit = LIVE_SECONDS if limit_seconds is None else limit_seconds
        return wait_until(lambda: self._look(name, progress), settled, limit, what, on_time)

    def predict(
        self,
        name: str,
        data: Any,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        variant: str | None = None,
        model: str | None = None,
        limit_seconds: float | None = None,
    ) -> Any:
        """Asks an endpoint. Bytes are sent as they are, everything else as JSON, arrays and data frames included.
        `variant` names who of several is to answer; `model` one of an endpoint's many models, `NAME` or `NAME/VERSION`.

        Returns values where the answer is JSON, else text or bytes.
        """
        body, sent_type = request_body(data, content_type)
        asked = {"accept": accept, TARGET_VARIANT: variant, TARGET_MODEL: model}
        headers = {"content-type": sent_type, **{key: value for key, value in asked.items() if value}}
        path = f"{ENDPOINTS}{_part(name)}{INVOCATIONS}"
        return answer_value(self._connection.ask("POST", path, body, headers, limit_seconds))

    def delete_endpoint(
        self, name: str, *, wait: bool = True, progress: Callable[[EndpointView], None] | None = None
    ) -> None:
        """Deletes an endpoint; its replicas finish what they hold. `wait` returns when the last is gone."""
        self._connection.delete(f"/endpoints/{_part(name)}")
        if wait:
            wait_gone(lambda: self._look(name, progress), GONE_SECONDS, f"endpoint {name} to be gone")

    def history(self, name: str) -> HistoryView:
        """The versions that are remembered, newest first, and how each came about."""
        return view_from(HistoryView, self._connection.get(f"/endpoints/{_part(name)}/history"))

    def rollback(self, name: str, to: int | None = None) -> OutcomeView:
        """Wishes for a new version equal to version `to`, by default to the newest other one that was ready; or calls
        back the version that is on its way in steps.

        Raises NotFound, Conflict. `wait_endpoint` waits until it serves.
        """
        # Named here, so that the request is the same when it is sent again, and is then done only once.
        chosen = self.history(name).rollback_version if to is None else to
        return self._connection.post(f"/endpoints/{_part(name)}/rollback", {"to": chosen, "by": caller()})

    def pause(self, name: str) -> OutcomeView:
        """Holds the version that is on its way at its present step. Raises Conflict where none is, as the next two."""
        return self._steer(name, "pause")

    def resume(self, name: str) -> OutcomeView:
        """Lets it go on."""
        return self._steer(name, "resume")

    def promote_endpoint(self, name: str, *, step: bool = False) -> OutcomeView:
        """Puts the version that is on its way in whole, or with `step` on to its next step, without waiting."""
        return self._steer(name, "promote", {"step": step})

    def _steer(self, name: str, verb: str, more: Mapping[str, Any] | None = None) -> OutcomeView:
        # Named here, so that a version that is deployed meanwhile is not meant.
        version = self.endpoint(name).wished_version
        document = {"version": version, "by": caller(), **(more or {})}
        return self._connection.post(f"/endpoints/{_part(name)}/{verb}", document)

    def refresh(self, name: str) -> OutcomeView:
        """Wishes for a new version equal to the present one: every replica is replaced, without a gap."""
        version = self.endpoint(name).wished_version
        return self._connection.post(f"/endpoints/{_part(name)}/refresh", {"version": version, "by": caller()})

    def _look(self, name: str, progress: Callable[[EndpointView], None] | None) -> EndpointView:
        view = self.endpoint(name)
        if progress is not None:
            progress(view)
        return view

    def endpoint_logs(
        self,
        name: str,
        *,
        lines: int = LOG_LINES,
        follow: bool = False,
        replica: str | None = None,
        level: str | None = None,
        since: str | None = None,
        request: str | None = None,
        as_json: bool = False,
    ) -> Iterator[str]:
        """The last lines that the replicas printed; with `follow`, and then what they print, without end.

        `level` is the least that is wanted (`WARNING`), `since` how long ago (`10m`) or an RFC 3339 time, `request` the
        id of one request. With `as_json` each line is a JSON object of replica, at, level, requests, text.
        """
        asked = {
            "lines": lines,
            "follow": follow,
            "replica": replica,
            "level": level.upper() if level else None,
            "since": since,
            "request": request,
            "format": "json" if as_json else "text",
        }
        return self._connection.lines(f"/endpoints/{_part(name)}/logs", asked)

    def scaling(self, name: str, *, limit: int = 20) -> ScalingView:
        """How many replicas an endpoint should have, and the newest decisions that led there, with all their terms."""
        return view_from(ScalingView, self._connection.get(f"/endpoints/{_part(name)}/scaling", {"limit": limit}))

    def predict_async(
        self,
        name: str,
        data: Any,
        *,
        content_type: str | None = None,
        model: str | None = None,
        inference_id: str | None = None,
    ) -> dict[str, Any]:
        """Queues an invocation, on disk when this returns: `id` and where its result will be. With an id of one's own
        it may be repeated without being another."""
        body, kind = request_body(data, content_type)
        headers = {"content-type": kind, **({TARGET_MODEL: model} if model is not None else {})}
        if inference_id is not None:
            headers["x-amzn-sagemaker-inference-id"] = inference_id
        path = f"{ENDPOINTS}{_part(name)}{ASYNC_INVOCATIONS}"
        return self._connection.ask("POST", path, body, headers, None).json()

    def invocation_result(self, name: str, inference_id: str) -> Any:
        """The result of one that is completed. Raises NotFound, Conflict where there is none."""
        path = f"{ENDPOINTS}{_part(name)}{ASYNC_INVOCATIONS}/{_part(inference_id)}/result"
        return answer_value(self._connection.ask("GET", path, None, {}, None))

    def invocations(self, name: str, *, status: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Queued invocations of an endpoint and what became of them, newest first."""
        asked: dict[str, Any] = {"limit": limit} | ({"status": status} if status is not None else {})
        return self._connection.get(f"/endpoints/{_part(name)}/async-invocations", asked)["invocations"]

    def invocation(self, name: str, inference_id: str) -> dict[str, Any]:
        return self._connection.get(f"/endpoints/{_part(name)}/async-invocations/{_part(inference_id)}")

    def cancel_invocation(self, name: str, inference_id: str) -> dict[str, Any]:
        return self._connection.post(f"/endpoints/{_part(name)}/async-invocations/{_part(inference_id)}/cancel", {})

    def redrive_invocations(self, name: str, ids: list[str] | None = None) -> list[str]:
        """Sends dead letters again, those of these ids or all; returns their ids."""
        return self._connection.post(f"/endpoints/{_part(name)}/async-invocations/redrive", {"ids": ids})["redriven"]

    def webhook_secret(self, name: str) -> str:
        """What messages to the endpoint's webhooks are signed with (Standard Webhooks)."""
        return self._connection.get(f"/endpoints/{_part(name)}/webhook-secret")["secret"]

    def load(self, name: str, *, since: float = 0.0) -> list[LoadView]:
        """The load that was recorded of an endpoint after `since` (seconds since the epoch), oldest first."""
        return view_from(
            LoadsView, self._connection.get(f"/endpoints/{_part(name)}/load", {"since": f"{since:.3f}"})
        ).loads

    def metrics(
        self, name: str, *, since: str = "1h", step: str | None = None, version: int | None = None
    ) -> MetricsView:
        """What an endpoint did since then (`2h` ago, or an RFC 3339 time), in steps (`1m`), by version."""
        asked = {"since": since, "step": step, "version": version}
        return self._connection.get(f"/endpoints/{_part(name)}/metrics", asked)

    def captures(self, name: str) -> CapturesView:
        """What is captured of an endpoint, and which days of it there are."""
        return self._connection.get(f"/endpoints/{_part(name)}/captures")

    def captured(
        self,
        name: str,
        *,
        since: str = "24h",
        until: str | None = None,
        limit: int = 1000,
        version: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Captured requests, newest first (see `domain.captures`)."""
        asked = {"since": since, "until": until, "limit": limit, "version": version}
        for line in self._connection.lines(f"/endpoints/{_part(name)}/captures/records", asked):
            if line.strip():
                yield json.loads(line)

    def replay(
        self,
        name: str,
        against: str,
        *,
        since: str = "24h",
        limit: int = REQUESTS_DEFAULT,
        version: int | None = None,
        concurrency: int = 1,
        tolerance: float = TOLERANCE,
        ignore: Iterable[str] = (),
        told: Callable[[str, int], None] = lambda _state, _done: None,
    ) -> Report:
        """Sends captured requests of an endpoint to a candidate that takes no others, and compares both answers.

        `against` is a registered model (`price:4`, `price@challenger`), a version of the endpoint (`v3`), a model's
        file, a package's file, or a yard file that has an endpoint of that name. `ignore` names fields of answers that
        do not count. Returns when the candidate is gone again.
        """
        asked = {
            "against": against_document(self._connection, name, against),
            "since": since,
            "limit": limit,
            "version": version,
            "concurrency": concurrency,
            "tolerance": tolerance,
            "ignore": list(ignore),
        }
        return follow_replay(self._connection.post_lines(f"/endpoints/{_part(name)}/replays", asked), told)

    def alarms(self, endpoint: str | None = None) -> list[AlarmView]:
        """By name, with the state that each is in."""
        return self._connection.get("/alarms", {"endpoint": endpoint})["alarms"]

    def alarm(self, name: str, *, limit: int = 20) -> AlarmHistoryView:
        """The state of one, how it came there, and the messages that told of it."""
        return self._connection.get(f"/alarms/{_part(name)}", {"limit": limit})

    def test_alarm(self, name: str) -> list[DeliveryView]:
        """Sends a message to everybody whom an alarm tells; its state stays."""
        return self._connection.post(f"/alarms/{_part(name)}/test", {})["deliveries"]

    # Runs

    def train(
        self,
        name: str,
        *,
        algorithm: str | None = None,
        entry: str | None = None,
        inputs: Mapping[str, str | Path] | None = None,
        content_types: Mapping[str, str] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        model: str | None = None,
        source: str | Path = ".",
        project: str | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        max_runtime_seconds: float | None = None,
        log_metrics: Mapping[str, str] | None = None,
        progress: Progress = no_progress,
    ) -> RunView:
        """Starts a run of a built-in algorithm (`xgboost`) or of the script `entry` below `source`.

        Paths of `inputs` begin at `source`; `secrets` are variable -> name of a secret; `log_metrics` are metric ->
        regular expression that finds it in what the script prints. Returns when the run is on the yard's disk;
        `wait_run` waits for its end.
        """
        from modelyard.manifest.trainings import (  # noqa: PLC0415 (loaded when first needed)
            MAX_RUNTIME_SECONDS,
            ChannelSource,
            TrainingResource,
        )

        types = content_types or {}
        training = TrainingResource(
            name=name,
            algorithm=algorithm,
            entry=entry,
            inputs={one: ChannelSource(str(place), types.get(one)) for one, place in (inputs or {}).items()},
            hyperparameters={key: _hyperparameter(value) for key, value in (hyperparameters or {}).items()},
            model=model,
            max_runtime_seconds=max_runtime_seconds or MAX_RUNTIME_SECONDS,
            environment=dict(environment or {}),
            secrets=dict(secrets or {}),
            log_metrics=dict(log_metrics or {}),
        )
        return self.start_training(training, Path(source), project=project, progress=progress)

    def train_file(
        self,
        file: "str | Path | YardFile | None" = None,
        name: str | None = None,
        *,
        project: str | None = None,
        progress: Progress = no_progress,
    ) -> RunView:
        """Starts the training called `name` (default: the only one) of a yard file (default: the present folder's)."""
        file = self.read_file(file)
        training = choose_training(file, name)
        return self.start_training(training, file.folder, project=project, yard_file=file.path, progress=progress)

    def read_file(self, file: "str | Path | YardFile | None" = None) -> "YardFile":
        """A yard file as it was read: by default that of the present folder. Raises NotFound, InvalidValue."""
        from modelyard.manifest.yard_file import find_yard_file, read_yard_file  # noqa: PLC0415 (loaded when needed)

        if file is not None and not isinstance(file, str | Path):
            return file
        place = Path(file or ".")
        return read_yard_file(find_yard_file(place) if place.is_dir() else place)

    def start_training(
        self,
        training: "TrainingResource",
        folder: Path,
        *,
        project: str | None = None,
        yard_file: Path | None = None,
        progress: Progress = no_progress,
    ) -> RunView:
        return start_training(
            self._connection, training, folder, project=project, yard_file=yard_file, progress=progress
        )

    def start_tuning(
        self,
        tuning: "TuningResource",
        file: "YardFile",
        *,
        project: str | None = None,
        progress: Progress = no_progress,
    ) -> TuningView:
        """Starts a tuning of a yard file; `wait_tuning` waits for its end."""
        return start_tuning(self._connection, tuning, file, project=project, progress=progress)

    def tunings(self, name: str | None = None, limit: int = 100) -> list[TuningView]:
        """Newest first, without their trials."""
        return view_from(TuningsView, self._connection.get("/tunings", {"name": name, "limit": limit})).tunings

    def tuning(self, tuning: str) -> TuningView:
        """One tuning with its trials."""
        return view_from(TuningView, self._connection.get(f"/tunings/{_part(tuning)}"))

    def wait_tuning(
        self, tuning: str, *, limit_seconds: float | None = None, progress: Callable[[TuningView], None] | None = None
    ) -> TuningView:
        """Waits until a tuning has ended, however; its status says how."""

        def look() -> TuningView:
            view = self.tuning(tuning)
            if progress is not None:
                progress(view)
            return view

        return wait_until(look, tuning_ended, limit_seconds, f"tuning {tuning}")

    def stop_tuning(self, tuning: str) -> TuningView:
        """Asks a tuning and its trials to stop; harmless where it is stopping or has ended."""
        return view_from(TuningView, self._connection.post(f"/tunings/{_part(tuning)}/stop", {}))

    def runs(self, training: str | None = None, limit: int = 100) -> list[RunView]:
        """Newest first."""
        return self._connection.get("/runs", {"training": training, "limit": limit})["runs"]

    def run(self, run: str) -> RunView:
        return self._connection.get(f"/runs/{_part(run)}")

    def run_metrics(self, run: str, name: str | None = None) -> Iterator[PointView]:
        """Every value that a run logged, of one metric or of all, in the order of logging."""
        after: int | None = 0
        while after is not None:
            asked = {"name": name, "after": after, "limit": POINTS_AT_ONCE}
            answer = self._connection.get(f"/runs/{_part(run)}/metrics", asked)
            yield from answer["points"]
            after = answer["next"]

    def wait_run(
        self, run: str, *, limit_seconds: float | None = None, progress: Callable[[RunView], None] | None = None
    ) -> RunView:
        """Waits until a run has ended, however; its status says how."""

        def look() -> RunView:
            view = self.run(run)
            if progress is not None:
                progress(view)
            return view

        return wait_until(look, run_ended, limit_seconds, f"run {run}")

    def stop_run(self, run: str) -> RunView:
        """Asks a run to stop; harmless where it is stopping or has ended."""
        return self._connection.post(f"/runs/{_part(run)}/stop", {})

    def run_logs(self, run: str, *, lines: int = LOG_LINES_ALL, follow: bool = False) -> Iterator[str]:
        """What a run printed (its last `lines`); with `follow`, until it has ended."""
        return self._connection.lines(f"/runs/{_part(run)}/logs", {"lines": lines, "follow": follow})

    # Gateways

    def usage(self, gateway: str) -> UsagesView:
        """What each key of an API gateway has used of its plan, and what is left."""
        return view_from(UsagesView, self._connection.get(f"/gateways/{_part(gateway)}/usage"))

    # Transforms

    def transform(
        self,
        model: str,
        input: str | Path,  # noqa: A002 (what it is called everywhere else too)
        output: str | Path,
        *,
        name: str | None = None,
        project: str | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        room: Mapping[str, int] | None = None,
        progress: Progress = no_progress,
        **options: Any,
    ) -> TransformView:
        """Scores a file, a folder or a URL: each object `NAME` of `input` becomes `NAME.out` in the folder `output`.

        `model` is `price`, `price:3`, `price@champion`, `endpoint/price` or a model's file. `options` are SageMaker's
        in small letters: content_type, accept, split, strategy, assemble, max_payload_mb, processes, compression,
        csv_header, input_filter, output_filter, join, timeout_seconds, retries, batch_size. `room` says what it waits
        for: cpu_millis, memory_bytes, priority. Returns when the transform is on the yard's disk; `wait_transform`
        waits for its end.
        """
        return start_transform(
            self._connection,
            model,
            str(input),
            str(output),
            options=options,
            name=name,
            project=project,
            environment=environment,
            secrets=secrets,
            room=room,
            progress=progress,
        )

    def start(self, kind: str, name: str, **changes: Any) -> dict[str, Any]:
        """Starts a deployed training or batch now. A training takes hyperparameters and max_runtime_seconds, a batch
        input, output and options."""
        noun, jobs = {"training": ("trainings", "runs"), "batch": ("batches", "transforms")}[kind]
        return self._connection.post(f"/{noun}/{_part(name)}/{jobs}", changes)

    def schedules(self, project: str | None = None) -> list[ScheduleView]:
        """Of every resource that has one, with its last and its next time."""
        return view_from(SchedulesView, self._connection.get("/schedules", {"project": project})).schedules

    def transforms(self, limit: int = 100) -> list[TransformView]:
        """Newest first."""
        return view_from(TransformsView, self._connection.get("/transforms", {"limit": limit})).transforms

    def get_transform(self, transform: str) -> TransformView:
        """One transform, with how far it is."""
        return view_from(TransformView, self._connection.get(f"/transforms/{_part(transform)}"))

    def wait_transform(
        self,
        transform: str,
        *,
        limit_seconds: float | None = None,
        progress: Callable[[TransformView], None] | None = None,
    ) -> TransformView:
        """Waits until a transform has ended, however; its status says how."""

        def look() -> TransformView:
            view = self.get_transform(transform)
            if progress is not None:
                progress(view)
            return view

        return wait_until(look, transform_ended, limit_seconds, f"transform {transform}")

    def stop_transform(self, transform: str) -> TransformView:
        """Asks a transform to stop; finished objects stay. Harmless where it is stopping or has ended."""
        return view_from(TransformView, self._connection.post(f"/transforms/{_part(transform)}/stop", {}))

    def transform_logs(self, transform: str, *, lines: int = LOG_LINES_ALL, follow: bool = False) -> Iterator[str]:
        """What a transform's processes printed; with `follow`, until it has ended."""
        return self._connection.lines(f"/transforms/{_part(transform)}/logs", {"lines": lines, "follow": follow})

    # Packages

    def packages(self) -> list[PackageView]:
        """Those that endpoints have, and those that were taken in."""
        return self._connection.get("/packages")["packages"]

    def package(self, reference: str) -> InspectedView:
        """One package with its files: `reference` is `NAME` or `NAME:VERSION` of an endpoint, or a digest."""
        return self._connection.get(f"/packages/{_part(reference)}")

    def verify_package(self, reference: str) -> list[str]:
        """A sentence for each file of a package that is not what it should be."""
        return self._connection.get(f"/packages/{_part(reference)}/verify")["differences"]

    def export_package(self, reference: str, target: str | Path) -> Built:
        """Writes a package to a file, its requirements resolved as they are in the yard."""
        return export_archive(self._connection, reference, Path(target))

    def import_package(self, file: str | Path, *, progress: Progress = no_progress) -> PackageView:
        """Takes a package's file into the yard. Raises InvalidValue where it is not whole."""
        return import_archive(self._connection, Path(file), progress)

    # Models

    def models(self) -> list[ModelView]:
        """The newest version of each."""
        return self._connection.get("/models")["models"]

    def model(self, name: str) -> list[ModelView]:
        """Every version, newest first."""
        return self._connection.get(f"/models/{_part(name)}")["versions"]

    def register(
        self,
        model: str,
        path: str | Path,
        *,
        project: str | None = None,
        framework: str | None = None,
        progress: Progress = no_progress,
    ) -> ModelView:
        """Registers a file or a folder as the next version of `model`; its files tell the framework."""
        from modelyard.packaging.files import list_files  # noqa: PLC0415 (loaded when first needed)

        place = Path(path).expanduser()
        files = list_files(place)
        framework = framework or detect_files(files).framework
        document = {
            "project": check_name(project, "project name") if project else project_of(Path.cwd()),
            "tree": send_tree(self._connection, files, progress),
            "framework": str(framework) if framework else None,
        }
        return self._connection.post(f"/models/{_part(check_model_name(model))}/versions", document)

    def model_version(self, reference: str) -> ModelVersionView:
        """`price` (the newest), `price:3` or `price@champion`, with what made it and what serves it."""
        asked = parse_model_reference(reference)
        version = asked.alias or asked.version or self.model(asked.model)[0]["version"]
        return self._connection.get(f"/models/{_part(asked.model)}/versions/{version}")

    def promote(self, reference: str, alias: str) -> AliasView:
        """Gives an alias to a version, taking it from the one that had it. What serves changes with the next deploy."""
        found = self.model_version(reference)
        document = {"version": found["version"], "by": caller()}
        return self._connection.put_document(f"/models/{_part(found['model'])}/aliases/{_part(alias)}", document)

    def delete_alias(self, model: str, alias: str) -> AliasView:
        """Takes an alias away. Endpoints that were deployed by it go on."""
        return self._connection.delete(f"/models/{_part(model)}/aliases/{_part(alias)}")

    def tag_model(self, reference: str, tags: Mapping[str, str | None]) -> ModelView:
        """Sets tags of a version; None takes one away, the others stay."""
        path = self._version_path(reference)
        return self._connection.post(f"{path}/tags", {"tags": dict(tags)})

    def decide_model(
        self, reference: str, state: Literal["pending", "approved", "rejected"], note: str | None = None
    ) -> ModelView:
        """Approves or rejects a version, for deploys that require an approval."""
        path = self._version_path(reference)
        return self._connection.put_document(f"{path}/approval", {"state": state, "by": caller(), "note": note})

    def _version_path(self, reference: str) -> str:
        """Of one version, so that what `price` or an alias means is settled before anything is said of it."""
        found = self.model_version(reference)
        return f"/models/{_part(found['model'])}/versions/{found['version']}"

    def delete_model(self, name: str, version: int | None = None) -> int:
        """Forgets a version, or all; returns how many."""
        return int(self._connection.delete(f"/models/{_part(name)}", {"version": version})["deleted"])

    # Care

    def collect(self, *, dry_run: bool = False) -> CollectedView:
        """Frees what nothing needs any more; with `dry_run`, only says what that is."""
        return self._connection.post("/retention", {"dry_run": dry_run})

    # Secrets

    def secrets(self) -> list[SecretView]:
        """By name; values are never handed out."""
        return view_from(SecretsView, self._connection.get("/secrets")).secrets

    def set_secret(self, name: str, value: str) -> SecretView:
        """Sets a secret. What runs already keeps the value that it was started with."""
        return view_from(SecretView, self._connection.put_document(f"/secrets/{_part(name)}", {"value": value}))

    def delete_secret(self, name: str) -> None:
        """Forgets a secret and its earlier values. Refused while an endpoint or a run refers to it."""
        self._connection.delete(f"/secrets/{_part(name)}")


def _part(name: str) -> str:
    """A name as one part of a path, whatever it holds."""
    return quote(name, safe="")


def _hyperparameter(value: Any) -> str:
    """As a yard file's would be: text as it is, the rest as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)
