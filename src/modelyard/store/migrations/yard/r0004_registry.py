"""Aliases, tags and approvals of model versions. Versions that are there have no tags and wait for approval."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    op.create_table(
        "model_aliases",
        sa.Column("model_key", sa.String, sa.ForeignKey("models.key"), primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("moved_at", sa.Float, nullable=False),
        sa.Column("moved_by", sa.String),
    )
    op.add_column("model_versions", sa.Column("tags", sa.JSON))
    op.add_column("model_versions", sa.Column("approval", sa.JSON))
    versions = sa.table("model_versions", sa.column("tags", sa.JSON), sa.column("approval", sa.JSON))
    op.execute(versions.update().values(tags={}, approval={"state": "pending"}))
