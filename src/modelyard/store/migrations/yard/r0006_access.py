"""People, groups, grants, keys of programs. Browsers that were let in must come by a new link."""

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("password", sa.String),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("last_login_at", sa.Float),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Float, nullable=False),
        sa.Column("issuer", sa.String),
        sa.Column("subject", sa.String),
    )
    op.create_index("users_by_subject", "users", ["issuer", "subject"], unique=True)
    op.create_table(
        "groups",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "group_members",
        sa.Column("group_key", sa.String, sa.ForeignKey("groups.key"), primary_key=True),
        sa.Column("user_key", sa.String, sa.ForeignKey("users.key"), primary_key=True),
    )
    op.create_table(
        "grants",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("subject_kind", sa.String, nullable=False),
        sa.Column("subject_key", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("project", sa.String),
        sa.Column("resource", sa.String),
    )
    op.create_index("grants_by_subject", "grants", ["subject_kind", "subject_key"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("owner_key", sa.String),
        sa.Column("grants", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("last_used_at", sa.Float),
    )
    op.create_table("access_revisions", sa.Column("number", sa.Integer, primary_key=True))
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("user_key", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("agent", sa.String, nullable=False),
    )
