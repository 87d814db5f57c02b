"""Tables of the three databases, as the newest migrations leave them; a test compares the two.

Columns named `key` hold `name_key` of a name, so that case does not tell names apart.
"""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

yard = MetaData()
"""Wishes, facts, models, keys, secrets."""

queue = MetaData()
"""Runs and tunings."""

history = MetaData()
"""Events; what autoscaling saw and decided; what endpoints did."""

endpoints = Table(
    "endpoints",
    yard,
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("project", String, nullable=False),
    Column("deleting_at", Float),
    Column("access", JSON),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("kind", String),
    Column("model", String),
    Column("wished", Integer),
    Column("wished_state", String),
    Column("wished_at", Float),
    Index("endpoints_by_revision", "revision"),
)
"""`revision` is the counter's value at the endpoint's last change, its versions' included. What follows it repeats the
newest version, for `domain.headlines`."""

counters = Table(
    "counters",
    yard,
    Column("name", String, primary_key=True),
    Column("value", Integer, nullable=False),
)

endpoint_requests = Table(
    "endpoint_requests",
    yard,
    Column("endpoint_key", String, primary_key=True),
    Column("last_at", Float),
    Column("warned_at", Float),
)
"""When each endpoint was last asked, as gateways reported it, and when it was announced that it will go."""

endpoint_versions = Table(
    "endpoint_versions",
    yard,
    Column("endpoint_key", String, ForeignKey("endpoints.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String),
    Column("origin", JSON),
    Column("out_of_memory", Boolean),
    Column("progress", JSON),
    Column("steering", JSON),
)

endpoint_statuses = Table(
    "endpoint_statuses",
    yard,
    Column("endpoint_key", String, ForeignKey("endpoints.key"), primary_key=True),
    Column("status", JSON, nullable=False),
    Column("state", String),
    Column("sentence", String),
    Column("ready", Integer),
    Column("requested", Integer),
    Column("serving", Integer),
    Column("updated_at", Float),
)
"""What follows `status` repeats parts of it, for `domain.headlines`."""

removed_endpoints = Table(
    "removed_endpoints",
    yard,
    Column("key", String, primary_key=True),
    Column("last_number", Integer, nullable=False),
)
"""Last version numbers of endpoints that are gone, so that one of the same name counts on."""

resources = Table(
    "resources",
    yard,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("project", String, nullable=False),
)

resource_versions = Table(
    "resource_versions",
    yard,
    Column("kind", String, primary_key=True),
    Column("resource_key", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", String),
)

removed_resources = Table(
    "removed_resources",
    yard,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("last_number", Integer, nullable=False),
)
"""Last version numbers of resources that are gone."""

project_files = Table(
    "project_files",
    yard,
    Column("project", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
)
"""What deploys of a project have wished and nobody has pruned since."""

models = Table(
    "models",
    yard,
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("project", String, nullable=False),
    Column("last_version", Integer, nullable=False),
)
"""Stays when every version is deleted, so that no number is given twice."""

model_versions = Table(
    "model_versions",
    yard,
    Column("model_key", String, ForeignKey("models.key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tree", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("framework", String),
    Column("created_at", Float, nullable=False),
    Column("run", String),
    Column("lineage", JSON, nullable=False),
    Column("tags", JSON),
    Column("approval", JSON),
    Index("model_versions_by_run", "model_key", "run", unique=True),
)

model_aliases = Table(
    "model_aliases",
    yard,
    Column("model_key", String, ForeignKey("models.key"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("moved_at", Float, nullable=False),
    Column("moved_by", String),
)

owner_keys = Table(
    "owner_keys",
    yard,
    Column("digest", String, primary_key=True),
    Column("created_at", Float, nullable=False),
)

links = Table(
    "links",
    yard,
    Column("digest", String, primary_key=True),
    Column("expires_at", Float, nullable=False),
)

sessions = Table(
    "sessions",
    yard,
    Column("digest", String, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("user_key", String),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("host", String),
    Column("parent", String),
)

entry_codes = Table(
    "entry_codes",
    yard,
    Column("digest", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("state", String, nullable=False),
    Column("session", String, nullable=False),
    Column("expires_at", Float, nullable=False),
)

users = Table(
    "users",
    yard,
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("password", String),
    Column("must_change_password", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_login_at", Float),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Float, nullable=False),
    Column("issuer", String),
    Column("subject", String),
    Index("users_by_subject", "issuer", "subject", unique=True),
)
"""By e-mail address in lower case."""

groups = Table(
    "groups",
    yard,
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at", Float, nullable=False),
)

group_members = Table(
    "group_members",
    yard,
    Column("group_key", String, ForeignKey("groups.key"), primary_key=True),
    Column("user_key", String, ForeignKey("users.key"), primary_key=True),
)

grants = Table(
    "grants",
    yard,
    Column("number", Integer, primary_key=True),
    Column("subject_kind", String, nullable=False),
    Column("subject_key", String, nullable=False),
    Column("role", String, nullable=False),
    Column("project", String),
    Column("resource", String),
    Index("grants_by_subject", "subject_kind", "subject_key"),
)

api_keys = Table(
    "api_keys",
    yard,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("owner_key", String),
    Column("grants", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("last_used_at", Float),
)

providers = Table(
    "providers",
    yard,
    Column("key", String, primary_key=True),
    Column("document", JSON, nullable=False),
)
"""OpenID providers, by `name_key`."""

job_tokens = Table(
    "job_tokens",
    yard,
    Column("digest", String, primary_key=True),
    Column("run", String, nullable=False, unique=True),
    Column("grants", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

secrets = Table(
    "secrets",
    yard,
    Column("key", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""The newest revision counts; a few earlier ones stay for masking."""

runs = Table(
    "runs",
    queue,
    Column("sequence", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("id", String, nullable=False),
    Column("training_key", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("project", String, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("step", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("steps", JSON, nullable=False),
    Column("exit_code", Integer),
    Column("failure_reason", String),
    Column("stop_requested", Boolean, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("model_version", Integer),
    Column("attempt", Integer),
    Column("waiting", String),
    Index("runs_by_training", "training_key", "number", unique=True),
    Index("runs_by_status", "status"),
)

tunings = Table(
    "tunings",
    queue,
    Column("sequence", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("id", String, nullable=False),
    Column("name_key", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("project", String, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("stop_requested", Boolean, nullable=False),
    Column("reason", String),
    Column("best_run", String),
    Column("model_version", Integer),
    Index("tunings_by_name", "name_key", "number", unique=True),
    Index("tunings_by_status", "status"),
)

audit = Table(
    "audit",
    history,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("principal", String, nullable=False),
    Column("action", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("address", String, nullable=False),
    Column("request_id", String, nullable=False),
    sqlite_autoincrement=True,
)

transforms = Table(
    "transforms",
    queue,
    Column("sequence", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("id", String, nullable=False),
    Column("name_key", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("project", String, nullable=False),
    Column("batch_key", String),
    Column("spec", JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("attempt", Integer, nullable=False),
    Column("failure_reason", String),
    Column("stop_requested", Boolean, nullable=False),
    Column("result", JSON, nullable=False),
    Column("waiting", String),
    Index("transforms_by_name", "name_key", "number", unique=True),
    Index("transforms_by_status", "status"),
)

schedules = Table(
    "schedules",
    queue,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("looked_at", Float, nullable=False),
    Column("timing", JSON, nullable=False),
    Column("planned_at", Float),
    Column("started_at", Float),
    Column("started", String),
    Column("sentence", String),
)

invocations = Table(
    "invocations",
    queue,
    Column("sequence", Integer, primary_key=True),
    Column("endpoint_key", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("id", String, nullable=False),
    Column("request", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("cancel_requested", Boolean, nullable=False),
    Column("result", JSON),
    Column("reason", String),
    Column("delivery", JSON),
    Column("delivery_due_at", Float),
    Index("invocations_by_id", "endpoint_key", "id", unique=True),
    Index("invocations_by_status", "status", "endpoint_key", "sequence"),
    Index("invocations_by_delivery", "delivery_due_at"),
    Index("invocations_by_end", "ended_at"),
)
"""`delivery_due_at` is null where there is nothing to deliver."""

invocation_contents = Table(
    "invocation_contents",
    queue,
    Column("sequence", Integer, ForeignKey("invocations.sequence"), primary_key=True),
    Column("part", String, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""Bodies and results that are small; longer ones are files."""

events = Table(
    "events",
    history,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("name_key", String, nullable=False),
    Column("sentence", String, nullable=False),
    Index("events_by_name", "name_key", "kind"),
    sqlite_autoincrement=True,
)

scaling_decisions = Table(
    "scaling_decisions",
    history,
    Column("number", Integer, primary_key=True),
    Column("endpoint_key", String, nullable=False),
    Column("decision", JSON, nullable=False),
    Index("scaling_decisions_by_endpoint", "endpoint_key", "number"),
)

loads = Table(
    "loads",
    history,
    Column("number", Integer, primary_key=True),
    Column("endpoint_key", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("in_flight", Float, nullable=False),
    Column("queued", Float, nullable=False),
    Column("arrivals", Integer, nullable=False),
    Column("replicas", Integer, nullable=False),
    Index("loads_by_endpoint", "endpoint_key", "number"),
)

metric_records = Table(
    "metric_records",
    history,
    Column("number", Integer, primary_key=True),
    Column("endpoint_key", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("figures", JSON, nullable=False),
    Column("in_flight", Float, nullable=False),
    Column("queued", Float, nullable=False),
    Column("replicas", Float, nullable=False),
    Index("metric_records_by_endpoint", "endpoint_key", "at"),
    Index("metric_records_by_age", "step", "at"),
)

metric_totals = Table(
    "metric_totals",
    history,
    Column("gateway", String, primary_key=True),
    Column("endpoint_key", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("figures", JSON, nullable=False),
)
"""What each gateway had counted when records were last written; an empty name holds what gateways that are gone had."""

alarm_changes = Table(
    "alarm_changes",
    history,
    Column("number", Integer, primary_key=True),
    Column("alarm_key", String, nullable=False),
    Column("alarm", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("endpoint_key", String, nullable=False),
    Column("state", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("sentence", String, nullable=False),
    Column("value", Float),
    Index("alarm_changes_by_alarm", "alarm_key", "number"),
)
"""The newest of each alarm is its state."""

deliveries = Table(
    "deliveries",
    history,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("alarm_key", String, nullable=False),
    Column("alarm", String, nullable=False),
    Column("target", String, nullable=False),
    Column("secret", String),
    Column("body", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float),
    Column("outcome", String),
    Index("deliveries_by_alarm", "alarm_key", "number"),
    Index("deliveries_by_time", "due_at"),
)
"""Messages of alarms; those without `due_at` are over."""

run_points = Table(
    "run_points",
    history,
    Column("number", Integer, primary_key=True),
    Column("run_key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("value", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Index("run_points_by_run", "run_key", "number"),
)
"""Every value of every metric of a run, in the order in which it was logged."""

run_tracking = Table(
    "run_tracking",
    history,
    Column("sequence", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("run", String, nullable=False),
    Column("read_bytes", Integer, nullable=False),
    Column("read_all", Boolean, nullable=False),
    Column("kept", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("begun", Boolean, nullable=False),
    Column("closed", Boolean, nullable=False),
    Index("run_tracking_unread", "read_all"),
    Index("run_tracking_unsent", "closed"),
)
"""How far each run's metrics came: the outbox of the tracking server is what lies beyond `sent`."""
