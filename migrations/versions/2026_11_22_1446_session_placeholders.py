"""What sandboxes have in the place of secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221446"
down_revision = "202611221445"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_placeholders",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("placeholder", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint(
            "session_id", "credential_id", name=op.f("pk_session_placeholders")
        ),
    )


def downgrade() -> None:
    op.drop_table("session_placeholders")
