"""OpenID providers that people sign in by."""

import sqlalchemy as sa
from alembic import op

revision = "r0011"
down_revision = "r0010"


def upgrade() -> None:
    op.create_table(
        "providers",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
