"""Who may call an endpoint; those that are there leave it to the yard."""

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("access", sa.JSON))
    # `counters` counts these changes too.
    op.drop_table("access_revisions")
