"""Digests of the tokens that running jobs have."""

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"


def upgrade() -> None:
    op.create_table(
        "job_tokens",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("run", sa.String, nullable=False, unique=True),
        sa.Column("grants", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
