"""Schedules, how far each was followed; and why transforms wait."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    op.add_column("transforms", sa.Column("waiting", sa.String))
    op.create_table(
        "schedules",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("looked_at", sa.Float, nullable=False),
        sa.Column("timing", sa.JSON, nullable=False),
        sa.Column("planned_at", sa.Float),
        sa.Column("started_at", sa.Float),
        sa.Column("started", sa.String),
        sa.Column("sentence", sa.String),
    )
