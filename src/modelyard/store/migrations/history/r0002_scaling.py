"""What autoscaling saw and decided."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.create_table(
        "scaling_decisions",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("endpoint_key", sa.String, nullable=False),
        sa.Column("decision", sa.JSON, nullable=False),
    )
    op.create_index("scaling_decisions_by_endpoint", "scaling_decisions", ["endpoint_key", "number"])
    op.create_table(
        "loads",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("endpoint_key", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("in_flight", sa.Float, nullable=False),
        sa.Column("queued", sa.Float, nullable=False),
        sa.Column("arrivals", sa.Integer, nullable=False),
        sa.Column("replicas", sa.Integer, nullable=False),
    )
    op.create_index("loads_by_endpoint", "loads", ["endpoint_key", "number"])
