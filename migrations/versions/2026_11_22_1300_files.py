"""Files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221300"
down_revision = "202611221000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("downloadable", sa.Boolean(), nullable=False),
        sa.Column("scope_id", sa.String(length=64), nullable=True),
        sa.Column("blob", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_blob"), "files", ["blob"])
    op.create_index(
        op.f("ix_files_workspace_id_created_at_id"), "files", ["workspace_id", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_files_scope_id_created_at_id"), "files", ["scope_id", "created_at", "id"]
    )
    op.create_index(
        "ix_files_expires_at",
        "files",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("files")
