"""User profiles, and tunnels with their certificates and tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221640"
down_revision = "202611221630"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "user_profiles",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_key", sa.LargeBinary(), nullable=True),
        sa.Column("access_type", sa.String(length=16), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_profiles")),
    )
    op.create_index(
        op.f("ix_user_profiles_workspace_id_created_at_id"),
        "user_profiles",
        ["workspace_id", "created_at", "id"],
    )
    op.create_index(
        op.f("ix_user_profiles_workspace_id_name_key_id"),
        "user_profiles",
        ["workspace_id", "name_key", "id"],
    )
    op.create_table(
        "tunnels",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tunnels")),
        sa.UniqueConstraint("domain", name=op.f("uq_tunnels_domain")),
    )
    op.create_index(
        op.f("ix_tunnels_workspace_id_created_at_id"),
        "tunnels",
        ["workspace_id", "created_at", "id"],
    )
    op.create_table(
        "tunnel_certificates",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tunnel_id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tunnel_id"], ["tunnels.id"], name=op.f("fk_tunnel_certificates_tunnel_id_tunnels")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tunnel_certificates")),
    )
    op.create_index(
        op.f("ix_tunnel_certificates_tunnel_id_created_at_id"),
        "tunnel_certificates",
        ["tunnel_id", "created_at", "id"],
    )
    op.create_table(
        "tunnel_rotations",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("tunnel_id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("api_key_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tunnel_id"], ["tunnels.id"], name=op.f("fk_tunnel_rotations_tunnel_id_tunnels")
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_tunnel_rotations")),
    )
    op.create_index(
        op.f("ix_tunnel_rotations_tunnel_id_created_at"),
        "tunnel_rotations",
        ["tunnel_id", "created_at"],
    )


def downgrade() -> None:
    op.drop_table("tunnel_rotations")
    op.drop_table("tunnel_certificates")
    op.drop_table("tunnels")
    op.drop_table("user_profiles")
