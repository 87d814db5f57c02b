"""How far a version's rollout has come, and what people wish for it."""

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"


def upgrade() -> None:
    op.add_column("endpoint_versions", sa.Column("progress", sa.JSON))
    op.add_column("endpoint_versions", sa.Column("steering", sa.JSON))
