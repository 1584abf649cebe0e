"""Resources of sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221340"
down_revision = "202611221330"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_resources",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("memory_store_id", sa.String(length=64), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_resources")),
        sa.UniqueConstraint(
            "session_id", "position", name=op.f("uq_session_resources_session_id_position")
        ),
    )
    op.create_index(
        "ix_session_resources_memory_store_id",
        "session_resources",
        ["memory_store_id", "session_id"],
        sqlite_where=sa.text("memory_store_id IS NOT NULL"),
        postgresql_where=sa.text("memory_store_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("session_resources")
