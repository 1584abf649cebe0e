"""Vaults and their credentials, and the vaults of a session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221000"
down_revision = "202611220940"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("vault_ids", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.create_table(
        "vaults",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vaults")),
    )
    op.create_index(
        op.f("ix_vaults_workspace_id_created_at_id"), "vaults", ["workspace_id", "created_at", "id"]
    )
    op.create_table(
        "vault_credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vault_id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("auth", sa.JSON(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["vault_id"], ["vaults.id"], name=op.f("fk_vault_credentials_vault_id_vaults")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_credentials")),
    )
    op.create_index(
        op.f("ix_vault_credentials_vault_id_created_at_id"),
        "vault_credentials",
        ["vault_id", "created_at", "id"],
    )
    op.create_index(
        "uq_vault_credentials_active",
        "vault_credentials",
        ["vault_id", "purpose"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("vault_credentials")
    op.drop_table("vaults")
    op.drop_column("sessions", "vault_ids")
