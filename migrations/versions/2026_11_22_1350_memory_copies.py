"""What sandboxes hold of memory stores, and how often a store's memories changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221350"
down_revision = "202611221345"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "memory_stores",
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "memory_copies",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("memory_store_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sandbox_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("coming", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint(
            "session_id", "memory_store_id", "path", name=op.f("pk_memory_copies")
        ),
    )


def downgrade() -> None:
    op.drop_table("memory_copies")
    op.drop_column("memory_stores", "revision")
