"""Settings of a yard and the places of its home. Read once at the door, handed down; never read inside."""

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from modelyard.errors import InvalidValue, StoreFailed

SOCKET_PATH_BYTES_MAX = 107
"""Linux's limit for the path of a Unix socket (sun_path is 108 bytes with its end mark)."""

_LONGEST_SOCKET_NAME = len("/replicas/") + 40


@dataclass(frozen=True, slots=True)
class Home:
    """Where a yard keeps everything. One folder, readable by its owner alone."""

    root: Path

    @property
    def key(self) -> Path:
        """The owner's access key (0600)."""
        return self.root / "key"

    @property
    def token_key(self) -> Path:
        """What the tokens are signed with that the yard gives to apps (0600)."""
        return self.root / "tokens.key"

    @property
    def secrets_key(self) -> Path:
        """What secrets are encrypted with (0600); made with the first of them."""
        return self.root / "secrets.key"

    @property
    def retention_lock(self) -> Path:
        """Held by whoever frees disk, and shared by whoever must not lose files meanwhile."""
        return self.root / "retention.lock"

    @property
    def tls(self) -> Path:
        """The local authority and what it signed, where the yard makes its own certificate."""
        return self.root / "tls"

    @property
    def yard(self) -> Path:
        """What runs: address and identity of the supervisor, written by `up`; JSON."""
        return self.root / "yard.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives, so that a home has one."""
        return self.root / "supervisor.lock"

    @property
    def processes(self) -> Path:
        """Identities of the platform's own processes, for a supervisor that comes after; JSON."""
        return self.root / "processes.json"

    @property
    def databases(self) -> Path:
        return self.root / "db"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def data_remotes(self) -> Path:
        """Data remotes, a folder each, laid out as DVC lays out any remote; made with the first object."""
        return self.root / "dvc"

    @property
    def tracking(self) -> Path:
        """The MLflow server's database, artifacts and environment; made when it is first used."""
        return self.root / "mlflow"

    @property
    def tracking_database(self) -> Path:
        return self.tracking / "mlflow.db"

    @property
    def tracking_artifacts(self) -> Path:
        """What clients of MLflow log, by experiment and run."""
        return self.tracking / "artifacts"

    @property
    def tracking_registry(self) -> Path:
        """Registered versions as MLflow's clients load them: copies, made when they are first asked for."""
        return self.tracking_artifacts / "registry"

    @property
    def tracking_wanted(self) -> Path:
        """Whether the MLflow server is to run: there from its first use until the yard goes down."""
        return self.tracking / "wanted"

    @property
    def tracking_state(self) -> Path:
        """How far the MLflow server's start has come, or why it failed; JSON."""
        return self.tracking / "state.json"

    @property
    def packages(self) -> Path:
        """Packages laid out for running, a folder per digest."""
        return self.root / "packages"

    @property
    def model_copies(self) -> Path:
        """Copies of models that lie in buckets, a folder per digest; harmless to remove."""
        return self.root / "model-copies"

    @property
    def imports(self) -> Path:
        """An empty file for each package that was imported, by digest; its time is when."""
        return self.root / "imports"

    @property
    def captures(self) -> Path:
        """Requests and answers that endpoints keep, as Parquet; `spool` has what is not recorded yet."""
        return self.root / "captures"

    @property
    def usages(self) -> Path:
        """What is left of API gateways' usage plans, a file for each; made with the first."""
        return self.root / "usages"

    @property
    def apps(self) -> Path:
        """A folder per app, by name, for what it keeps beyond a replica's life; made with the first."""
        return self.root / "apps"

    @property
    def sites(self) -> Path:
        """Files of sites as they are served, by digest, and a table of each version; made with the first."""
        return self.root / "sites"

    @property
    def runs(self) -> Path:
        """A folder per training run: inputs, model, output."""
        return self.root / "runs"

    @property
    def transforms(self) -> Path:
        """A folder per batch transform: its plan, how far it is."""
        return self.root / "transforms"

    @property
    def engine(self) -> Path:
        """A folder per process that the engine started: replicas/ID, jobs/ID, templates/ID."""
        return self.root / "engine"

    @property
    def logs(self) -> Path:
        """Logs of the platform's own processes."""
        return self.root / "log"

    @property
    def table(self) -> Path:
        """The gateway's table, as the controller last published it; JSON."""
        return self.root / "table.json"

    @property
    def table_journal(self) -> Path:
        """What has changed in the table since that file; a JSON document a line."""
        return self.root / "table.journal"

    @property
    def credentials(self) -> Path:
        """Digests of keys and sessions with who is behind them, for gateways (0600); JSON."""
        return self.root / "credentials.json"

    @property
    def ports(self) -> Path:
        """Which ports of their own apps, sites and gateways have, as the gateway last said it; JSON."""
        return self.root / "ports.json"

    @property
    def invocations(self) -> Path:
        """Bodies and results of queued invocations that are too long for the database; made with the first."""
        return self.root / "invocations"

    @property
    def webhook_key(self) -> Path:
        """What the secrets of webhooks are derived from (0600); made with the first of them."""
        return self.root / "webhooks.key"

    @property
    def dispatcher_lock(self) -> Path:
        """Held by the dispatcher as long as it lives: each invocation has one sender."""
        return self.root / "dispatcher.lock"

    @property
    def spool(self) -> Path:
        """Request bodies too large for memory, while they are under way."""
        return self.root / "spool"

    @property
    def sockets(self) -> Path:
        """Unix sockets: in the home where its path is short enough, else in a folder of the user's under /tmp."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) + _LONGEST_SOCKET_NAME <= SOCKET_PATH_BYTES_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path("/tmp") / f"modelyard-{os.getuid()}-{digest}"  # noqa: S108 (owner and mode are checked in `make`)

    @property
    def control_socket(self) -> Path:
        return self.sockets / "control.sock"

    @property
    def controller_socket(self) -> Path:
        return self.sockets / "controller.sock"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor is asked for a process that runs only when there is work for it."""
        return self.sockets / "supervisor.sock"

    @property
    def dispatcher_socket(self) -> Path:
        """Where the dispatcher is told that something was queued."""
        return self.sockets / "dispatcher.sock"

    @property
    def predictions_socket(self) -> Path:
        """Where the gateway takes predictions of the yard's own processes."""
        return self.sockets / "predictions.sock"

    @property
    def gateway_socket(self) -> Path:
        """Where a new supervisor asks a living gateway for its listening sockets."""
        return self.sockets / "gateway.sock"

    @property
    def tracking_socket(self) -> Path:
        """Where the MLflow server answers; the door in front of it has the key."""
        return self.sockets / "mlflow.sock"

    @property
    def replica_sockets(self) -> Path:
        return self.sockets / "replicas"

    def make(self) -> None:
        """Makes every folder but those of sockets, private to the owner. Raises StoreFailed where the place is not
        writable or not ours."""
        folders = [self.root, self.databases, self.artifacts, self.packages, self.runs, self.logs, self.spool]
        folders += [self.transforms, self.imports]
        folders += [self.engine, *(self.engine / kind for kind in ("replicas", "jobs", "templates"))]
        for folder in folders:
            _make_private(folder)

    def make_sockets(self) -> None:
        """Makes the folders of sockets, for a yard that is to run. Raises as `make` does."""
        for folder in (self.sockets, self.replica_sockets):
            _make_private(folder)

    def remove_sockets(self) -> None:
        """What a yard that has ended leaves outside its home: nothing."""
        if not self.sockets.is_relative_to(self.root):
            shutil.rmtree(self.sockets, ignore_errors=True)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StoreFailed(
            f"cannot use {folder}: {error.strerror}", "set MODELYARD_HOME to a folder that you can write"
        ) from error
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise StoreFailed(
            f"cannot use {folder}: it belongs to another user", "set MODELYARD_HOME to a folder of your own"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


@dataclass(frozen=True, slots=True)
class YardSettings:
    """What `up` can be told. Every field has a default that is right for one machine."""

    host: str = "127.0.0.1"
    """Address to listen on. Elsewhere than on loopback, predictions need the key too."""

    port: int = 8400
    """TCP port to listen on; 0 takes a free one."""

    names: tuple[str, ...] = ()
    """Host names under which the yard is reached, beside localhost and its addresses."""

    apps_domain: str | None = None
    """Domain below which apps and sites have their names, beside localhost: `NAME.APPS_DOMAIN`."""

    tls_port: int | None = None
    """TCP port for TLS beside the other; clients from elsewhere than this machine are sent there. None has no TLS."""

    tls_certificate: str | None = None
    """File with the certificate and its chain (PEM); None has the yard's own authority make one."""

    tls_key: str | None = None
    """File with the certificate's key (PEM)."""


def settings_arguments(settings: YardSettings) -> list[str]:
    """The settings as options of `modelyard up`, and of the supervisor that it starts."""
    words = ["--host", settings.host, "--port", str(settings.port)]
    for name in settings.names:
        words += ["--name", name]
    if settings.apps_domain is not None:
        words += ["--apps-domain", settings.apps_domain]
    if settings.tls_port is not None:
        words += ["--tls-port", str(settings.tls_port)]
    if settings.tls_certificate is not None and settings.tls_key is not None:
        words += ["--tls-certificate", settings.tls_certificate, "--tls-key", settings.tls_key]
    return words


@dataclass(frozen=True, slots=True)
class CareSettings:
    """How a yard keeps its disk and its memory in order. Each can be set by the environment variable of its name, in
    capitals after `MODELYARD_`: MODELYARD_DISK_FREE_BYTES_MIN=5000000000. All are plain numbers in the unit that is in
    the name."""

    disk_free_bytes_min: float = 1 * 2**30
    """Below so much free space new work is refused, so that what runs can still write."""

    disk_free_share_min: float = 0.05
    """The same as a share of the disk; the smaller of the two counts, so that a small disk can be used too."""

    memory_free_bytes_min: float = 1 * 2**30
    """With so much memory available or less, endpoints that nobody asks go to zero, those first that were asked for
    longest ago, if their `min_replicas` is 0."""

    memory_free_share_min: float = 0.1
    """The same as a share of the machine's memory; the smaller of the two counts."""

    replicas_bytes_max: float = 0.0
    """What all replicas together may hold for themselves before endpoints go to zero likewise; 0 sets no bound."""

    model_copies_bytes_max: float = 20 * 2**30
    """What copies of models that lie in buckets may take on this disk, all endpoints together; those used longest ago
    go. Who is asked for a model that is gone brings it again."""

    log_bytes_max: float = 16 * 2**20
    """A log that is larger becomes the earlier part of itself; one earlier part is kept."""

    run_inputs_kept_seconds: float = 1 * 86400
    """How long after its end a run's copies of inputs and code stay; the store has the originals."""

    run_folders_kept_seconds: float = 30 * 86400
    """How long after its end the rest of a run's folder and its log stay, and those of a transform; registered models
    are in the store, and a transform's output is where it was asked for."""

    run_folders_bytes_max: float = 20 * 2**30
    """All folders of ended runs and transforms together; beyond it those that ended first go, whatever their age."""

    packages_kept_seconds: float = 1 * 86400
    """How long a package that no endpoint has stays laid out."""

    imports_kept_seconds: float = 30 * 86400.0
    """How long a package that was imported stays where no endpoint has it: it is likely to be deployed."""

    artifacts_kept_seconds: float = 3600
    """How long an artifact stays that nothing refers to: an upload may be about to."""

    events_kept_seconds: float = 90 * 86400
    """How long events stay; their number is bounded besides."""


class MailSecurity(StrEnum):
    STARTTLS = "starttls"  # encrypted from the first command on that says anything; RFC 3207
    TLS = "tls"  # encrypted from the first byte; RFC 8314
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How alarms send mail. Each is set by the environment variable of its name, in capitals after
    `MODELYARD_MAIL_`."""

    host: str
    """The server that takes mail (SMTP); without it none is sent."""

    sender: str
    """The address that mail is from."""

    port: int = 587
    """Its port: 587 for mail that is handed in, 465 for `tls`, 25 between servers."""

    security: MailSecurity = MailSecurity.STARTTLS
    """`starttls`, `tls` or `none`."""

    user: str | None = None
    """Name to log in with; without it nobody logs in."""

    password_secret: str | None = None
    """Name of the yard's secret that holds the password, so that it stands in no environment."""


def mail_from(environment: Mapping[str, str]) -> MailSettings | None:
    """What the environment says, None where it names no host. Raises InvalidValue for what cannot be."""
    given = {name: environment.get(f"MODELYARD_MAIL_{name.upper()}") or None for name in MailSettings.__annotations__}
    host, sender = given["host"], given["sender"]
    if host is None:
        return None
    if sender is None or "@" not in sender:
        raise InvalidValue("cannot send mail from nobody", "set MODELYARD_MAIL_SENDER to an address")
    port, security = given["port"] or "587", given["security"] or "starttls"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidValue(f"cannot use MODELYARD_MAIL_PORT: {port[:40]!r} is not a port", "write 587, 465 or 25")
    if security not in list(MailSecurity):
        raise InvalidValue(
            f"cannot use MODELYARD_MAIL_SECURITY: {security[:40]!r} is none", "write starttls, tls or none"
        )
    return MailSettings(host, sender, int(port), MailSecurity(security), given["user"], given["password_secret"])


def care_from(environment: Mapping[str, str]) -> CareSettings:
    """The defaults with what the environment says instead. Raises InvalidValue for what is not a number from 0."""
    given: dict[str, float] = {}
    for one in fields(CareSettings):
        variable = f"MODELYARD_{one.name.upper()}"
        text = environment.get(variable)
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise InvalidValue(f"cannot use {variable}: {text[:40]!r} is not a number from 0", "write a plain number")
        given[one.name] = value
    return CareSettings(**given)


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Which MLflow server a yard uses."""

    url: str | None = None
    """`MODELYARD_MLFLOW_URL`: the tracking URI of a server elsewhere, with user and password where it wants them. None
    is the yard's own, started when it is first used."""


def tracking_from(environment: Mapping[str, str]) -> TrackingSettings:
    """Raises InvalidValue for an address that is not of HTTP."""
    url = environment.get("MODELYARD_MLFLOW_URL") or None
    if url is not None and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
        raise InvalidValue(
            "cannot use MODELYARD_MLFLOW_URL: it is no address", "write it as https://HOST[:PORT][/PATH]"
        )
    return TrackingSettings(url)


@dataclass(frozen=True, slots=True)
class TracesSettings:
    """Where traces of predictions go. Off where no address is given: then nothing is done for them."""

    endpoint: str | None = None
    """An OpenTelemetry collector's address for OTLP over HTTP, such as
    http://127.0.0.1:4318. Needs `modelyard[tracing]`."""

    sample_share: float = 1.0
    """Which share of the requests is traced whose callers do not say so themselves."""


def traces_from(environment: Mapping[str, str]) -> TracesSettings:
    """Raises InvalidValue for an address that is not of HTTP, and for a share that is none."""
    endpoint = environment.get("MODELYARD_TRACES_ENDPOINT") or None
    if endpoint is not None and not (endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).hostname):
        raise InvalidValue("cannot use MODELYARD_TRACES_ENDPOINT: it is no address", "write it as http://HOST:4318")
    text = environment.get("MODELYARD_TRACES_SAMPLE_SHARE") or "1"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidValue(
            f"cannot use MODELYARD_TRACES_SAMPLE_SHARE: {text[:40]!r} is no share", "write a number from 0 to 1"
        )
    return TracesSettings(endpoint, share)


def read_key(home: Home) -> str:
    """The owner's key. Raises StoreFailed."""
    try:
        return home.key.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StoreFailed(f"cannot read {home.key}: {error.strerror}", "`modelyard up` makes it") from error


def home_from(environment: Mapping[str, str]) -> Home:
    """The home that `MODELYARD_HOME` names, by default `~/.modelyard`, with links resolved."""
    given = environment.get("MODELYARD_HOME", "")
    if given and "\0" in given:
        raise InvalidValue("cannot use MODELYARD_HOME: it contains a NUL byte", "set it to a folder's path")
    root = Path(given).expanduser() if given else Path(environment.get("HOME", "~")).expanduser() / ".modelyard"
    return Home(root.resolve())
