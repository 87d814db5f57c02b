"""Sessions at the origins of apps and sites, and the codes that people come there with."""

import sqlalchemy as sa
from alembic import op

revision = "r0012"
down_revision = "r0011"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("host", sa.String))
    op.add_column("sessions", sa.Column("parent", sa.String))
    op.create_table(
        "entry_codes",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
