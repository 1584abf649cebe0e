"""Memory stores, their memories and the versions of these."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221320"
down_revision = "202611221310"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "memory_stores",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_stores")),
    )
    op.create_index(
        op.f("ix_memory_stores_workspace_id_created_at_id"),
        "memory_stores",
        ["workspace_id", "created_at", "id"],
    )
    op.create_table(
        "memories",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("memory_store_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("content_size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["memory_store_id"],
            ["memory_stores.id"],
            name=op.f("fk_memories_memory_store_id_memory_stores"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
    )
    op.create_index(
        op.f("ix_memories_memory_store_id_created_at_id"),
        "memories",
        ["memory_store_id", "created_at", "id"],
    )
    op.create_index("uq_memories_path", "memories", ["memory_store_id", "path"], unique=True)
    op.create_table(
        "memory_versions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("memory_store_id", sa.String(length=64), nullable=False),
        sa.Column("memory_id", sa.String(length=64), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.String(length=64), nullable=True),
        sa.Column("content_size_bytes", sa.Integer(), nullable=True),
        sa.Column("created_by_type", sa.String(length=32), nullable=False),
        sa.Column("created_by_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("redacted_by_type", sa.String(length=32), nullable=True),
        sa.Column("redacted_by_id", sa.String(length=64), nullable=True),
        sa.Column("redacted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["memory_store_id"],
            ["memory_stores.id"],
            name=op.f("fk_memory_versions_memory_store_id_memory_stores"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_versions")),
    )
    op.create_index(
        op.f("ix_memory_versions_memory_store_id_created_at_id"),
        "memory_versions",
        ["memory_store_id", "created_at", "id"],
    )
    op.create_index(
        op.f("ix_memory_versions_memory_id_created_at_id"),
        "memory_versions",
        ["memory_id", "created_at", "id"],
    )


def downgrade() -> None:
    op.drop_table("memory_versions")
    op.drop_table("memories")
    op.drop_table("memory_stores")
