"""Deployments, their runs, and the sessions that those created."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221610"
down_revision = "202611221600"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("agent_version", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.String(length=128), nullable=False),
        sa.Column("initial_events", sa.JSON(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("vault_ids", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("expression", sa.Text(), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("last_run_at", sa.BigInteger(), nullable=True),
        sa.Column("paused", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    for columns in (
        ["workspace_id", "created_at", "id"],
        ["workspace_id", "agent_id", "created_at", "id"],
    ):
        op.create_index(op.f(f"ix_deployments_{'_'.join(columns)}"), "deployments", columns)
    op.create_index(
        "ix_deployments_starts_at",
        "deployments",
        ["starts_at"],
        sqlite_where=sa.text("starts_at IS NOT NULL"),
        postgresql_where=sa.text("starts_at IS NOT NULL"),
    )
    op.create_table(
        "deployment_runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("agent_version", sa.Integer(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.String(length=64), nullable=True),
        sa.Column("error_type", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_deployment_runs_deployment_id_deployments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_runs")),
        sa.UniqueConstraint(
            "deployment_id",
            "scheduled_at",
            name=op.f("uq_deployment_runs_deployment_id_scheduled_at"),
        ),
    )
    for columns in (["workspace_id", "created_at", "id"], ["deployment_id", "created_at", "id"]):
        op.create_index(op.f(f"ix_deployment_runs_{'_'.join(columns)}"), "deployment_runs", columns)
    op.add_column("sessions", sa.Column("deployment_id", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_sessions_deployment_id",
        "sessions",
        ["deployment_id", "created_at", "id"],
        sqlite_where=sa.text("deployment_id IS NOT NULL"),
        postgresql_where=sa.text("deployment_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_sessions_deployment_id", table_name="sessions")
    with op.batch_alter_table("sessions") as table:
        table.drop_column("deployment_id")
    op.drop_table("deployment_runs")
    op.drop_table("deployments")
