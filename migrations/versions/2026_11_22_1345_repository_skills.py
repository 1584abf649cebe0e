"""Skills of the repositories of sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221345"
down_revision = "202611221350"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_repository_skills",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_repository_skills")),
    )


def downgrade() -> None:
    op.drop_table("session_repository_skills")
