"""Metrics of runs, point by point."""

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    op.create_table(
        "run_points",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_key", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("run_points_by_run", "run_points", ["run_key", "number"])
    op.create_table(
        "run_tracking",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("run", sa.String, nullable=False),
        sa.Column("read_bytes", sa.Integer, nullable=False),
        sa.Column("read_all", sa.Boolean, nullable=False),
        sa.Column("kept", sa.Integer, nullable=False),
        sa.Column("dropped", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("begun", sa.Boolean, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
    )
    op.create_index("run_tracking_unread", "run_tracking", ["read_all"])
    op.create_index("run_tracking_unsent", "run_tracking", ["closed"])
