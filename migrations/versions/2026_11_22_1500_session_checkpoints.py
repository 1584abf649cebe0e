"""Checkpoints of sessions' sandboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221500"
down_revision = "202611221445"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_checkpoints",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_checkpoints")),
    )
    op.create_index(op.f("ix_session_checkpoints_blob"), "session_checkpoints", ["blob"])
    op.create_index(op.f("ix_session_checkpoints_began_at"), "session_checkpoints", ["began_at"])


def downgrade() -> None:
    op.drop_table("session_checkpoints")
