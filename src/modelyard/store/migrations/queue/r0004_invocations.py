"""Queued invocations, and their bodies and results where these are small."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    op.create_table(
        "invocations",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("endpoint_key", sa.String, nullable=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("reason", sa.String),
        sa.Column("delivery", sa.JSON),
        sa.Column("delivery_due_at", sa.Float),
    )
    op.create_index("invocations_by_id", "invocations", ["endpoint_key", "id"], unique=True)
    op.create_index("invocations_by_status", "invocations", ["status", "endpoint_key", "sequence"])
    op.create_index("invocations_by_delivery", "invocations", ["delivery_due_at"])
    op.create_index("invocations_by_end", "invocations", ["ended_at"])
    op.create_table(
        "invocation_contents",
        sa.Column("sequence", sa.Integer, sa.ForeignKey("invocations.sequence"), primary_key=True),
        sa.Column("part", sa.String, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
