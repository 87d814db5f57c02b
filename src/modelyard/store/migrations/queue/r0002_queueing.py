"""Attempts of runs and why they wait; tunings."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("attempt", sa.Integer))
    op.add_column("runs", sa.Column("waiting", sa.String))
    op.execute(sa.table("runs", sa.column("attempt", sa.Integer)).update().values(attempt=1))
    op.create_table(
        "tunings",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name_key", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("best_run", sa.String),
        sa.Column("model_version", sa.Integer),
    )
    op.create_index("tunings_by_name", "tunings", ["name_key", "number"], unique=True)
    op.create_index("tunings_by_status", "tunings", ["status"])
