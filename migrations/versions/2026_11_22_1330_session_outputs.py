"""What was kept of sessions' outputs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221330"
down_revision = "202611221320"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_outputs",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "path", name=op.f("pk_session_outputs")),
    )


def downgrade() -> None:
    op.drop_table("session_outputs")
