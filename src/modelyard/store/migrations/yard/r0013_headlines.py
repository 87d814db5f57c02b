"""What lists of endpoints show, in columns: a list reads no documents."""

import sqlalchemy as sa
from alembic import op

revision = "r0013"
down_revision = "r0012"

_ENDPOINTS = """
UPDATE endpoints SET (kind, model, wished, wished_state, wished_at) = (
    SELECT
        CASE
            WHEN json_extract(spec, '$.app') IS NOT NULL THEN 'app'
            WHEN json_extract(spec, '$.function') IS NOT NULL THEN 'function'
            ELSE 'endpoint'
        END,
        json_extract(spec, '$.model'), number, state, created_at
    FROM endpoint_versions WHERE endpoint_key = endpoints.key ORDER BY number DESC LIMIT 1
)
"""

_STATUSES = """
UPDATE endpoint_statuses SET
    state = json_extract(status, '$.state'),
    sentence = substr(json_extract(status, '$.sentence'), 1, 240),
    ready = json_extract(status, '$.ready'),
    requested = json_extract(status, '$.requested'),
    serving = json_extract(status, '$.serving_version'),
    updated_at = json_extract(status, '$.updated_at')
"""


def upgrade() -> None:
    for name, kind in (("kind", sa.String), ("model", sa.String), ("wished", sa.Integer)):
        op.add_column("endpoints", sa.Column(name, kind))
    op.add_column("endpoints", sa.Column("wished_state", sa.String))
    op.add_column("endpoints", sa.Column("wished_at", sa.Float))
    op.execute(_ENDPOINTS)
    for name in ("state", "sentence"):
        op.add_column("endpoint_statuses", sa.Column(name, sa.String))
    for name in ("ready", "requested", "serving"):
        op.add_column("endpoint_statuses", sa.Column(name, sa.Integer))
    op.add_column("endpoint_statuses", sa.Column("updated_at", sa.Float))
    op.execute(_STATUSES)
