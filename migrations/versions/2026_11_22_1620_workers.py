"""Self-hosted environments: work items, and who polls for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221620"
down_revision = "202611221610"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("available_at", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.Integer(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("latest_heartbeat_at", sa.BigInteger(), nullable=True),
        sa.Column("stop_requested_at", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("previous_token", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work")),
        sa.UniqueConstraint("session_id", name=op.f("uq_work_session_id")),
    )
    op.create_index(
        op.f("ix_work_environment_id_state_started_at"),
        "work",
        ["environment_id", "state", "started_at"],
    )
    op.create_index(
        op.f("ix_work_environment_id_created_at_id"), "work", ["environment_id", "created_at", "id"]
    )
    op.create_index(op.f("ix_work_token"), "work", ["token"])
    op.create_index(op.f("ix_work_previous_token"), "work", ["previous_token"])
    op.create_table(
        "work_pollers",
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=256), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "worker_id", name=op.f("pk_work_pollers")),
    )


def downgrade() -> None:
    op.drop_table("work_pollers")
    op.drop_table("work")
