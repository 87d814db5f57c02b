"""Where a version of an endpoint comes from, and whether it failed for want of memory."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    op.add_column("endpoint_versions", sa.Column("origin", sa.JSON))
    op.add_column("endpoint_versions", sa.Column("out_of_memory", sa.Boolean))
