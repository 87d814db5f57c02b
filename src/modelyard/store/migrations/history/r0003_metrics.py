"""What endpoints did over time."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    op.create_table(
        "metric_records",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("endpoint_key", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("in_flight", sa.Float, nullable=False),
        sa.Column("queued", sa.Float, nullable=False),
        sa.Column("replicas", sa.Float, nullable=False),
    )
    op.create_index("metric_records_by_endpoint", "metric_records", ["endpoint_key", "at"])
    op.create_index("metric_records_by_age", "metric_records", ["step", "at"])
    op.create_table(
        "metric_totals",
        sa.Column("gateway", sa.String, primary_key=True),
        sa.Column("endpoint_key", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("figures", sa.JSON, nullable=False),
    )
