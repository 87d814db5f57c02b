"""Endpoints, models, keys."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    _create_endpoints()
    _create_models()
    _create_keys()


def _create_endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("deleting_at", sa.Float),
    )
    op.create_table(
        "endpoint_versions",
        sa.Column("endpoint_key", sa.String, sa.ForeignKey("endpoints.key"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.String),
    )
    op.create_table(
        "endpoint_statuses",
        sa.Column("endpoint_key", sa.String, sa.ForeignKey("endpoints.key"), primary_key=True),
        sa.Column("status", sa.JSON, nullable=False),
    )
    op.create_table(
        "removed_endpoints",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("last_number", sa.Integer, nullable=False),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    op.create_table(
        "model_versions",
        sa.Column("model_key", sa.String, sa.ForeignKey("models.key"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("tree", sa.String, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("framework", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("run", sa.String),
        sa.Column("lineage", sa.JSON, nullable=False),
    )
    op.create_index("model_versions_by_run", "model_versions", ["model_key", "run"], unique=True)


def _create_keys() -> None:
    op.create_table(
        "owner_keys",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    for name in ("links", "sessions"):
        op.create_table(
            name,
            sa.Column("digest", sa.String, primary_key=True),
            sa.Column("expires_at", sa.Float, nullable=False),
        )
