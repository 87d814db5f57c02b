"""Runs."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("training_key", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("failure_reason", sa.String),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("model_version", sa.Integer),
    )
    op.create_index("runs_by_training", "runs", ["training_key", "number"], unique=True)
    op.create_index("runs_by_status", "runs", ["status"])
