"""Which endpoints have changed since when, so that nobody must read all of them; and when each was last asked."""

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
    )
    op.add_column("endpoints", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.create_index("endpoints_by_revision", "endpoints", ["revision"])
    op.execute("INSERT INTO counters (name, value) VALUES ('endpoints', 1)")
    op.create_table(
        "endpoint_requests",
        sa.Column("endpoint_key", sa.String, primary_key=True),
        sa.Column("last_at", sa.Float),
        sa.Column("warned_at", sa.Float),
    )
