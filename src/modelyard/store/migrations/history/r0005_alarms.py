"""States of alarms, and messages that tell of them."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    op.create_table(
        "alarm_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("alarm_key", sa.String, nullable=False),
        sa.Column("alarm", sa.String, nullable=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("endpoint_key", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("sentence", sa.String, nullable=False),
        sa.Column("value", sa.Float),
    )
    op.create_index("alarm_changes_by_alarm", "alarm_changes", ["alarm_key", "number"])
    op.create_table(
        "deliveries",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("alarm_key", sa.String, nullable=False),
        sa.Column("alarm", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("secret", sa.String),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float),
        sa.Column("outcome", sa.String),
    )
    op.create_index("deliveries_by_alarm", "deliveries", ["alarm_key", "number"])
    op.create_index("deliveries_by_time", "deliveries", ["due_at"])
