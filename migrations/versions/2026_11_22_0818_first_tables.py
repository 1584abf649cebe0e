"""The first tables: agents, environments, sessions and their logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611220818"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
    )
    op.create_index(
        op.f("ix_agents_workspace_id_created_at_id"), "agents", ["workspace_id", "created_at", "id"]
    )

    op.create_table(
        "environments",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments")),
    )
    op.create_index(
        op.f("ix_environments_workspace_id_created_at_id"),
        "environments",
        ["workspace_id", "created_at", "id"],
    )

    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("agent_version", sa.Integer(), nullable=False),
        sa.Column("agent", sa.JSON(), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("primary_thread_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("head_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("needs_work", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(
        "ix_sessions_deleted_at",
        "sessions",
        ["deleted_at"],
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_sessions_needs_work",
        "sessions",
        ["id"],
        sqlite_where=sa.text("needs_work = 1"),
        postgresql_where=sa.text("needs_work"),
    )
    op.create_index(
        op.f("ix_sessions_workspace_id_agent_id_created_at_id"),
        "sessions",
        ["workspace_id", "agent_id", "created_at", "id"],
    )
    op.create_index(
        op.f("ix_sessions_workspace_id_created_at_id"),
        "sessions",
        ["workspace_id", "created_at", "id"],
    )

    op.create_table(
        "agent_versions",
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_agent_versions_agent_id_agents")
        ),
        sa.PrimaryKeyConstraint("agent_id", "version", name=op.f("pk_agent_versions")),
    )
    op.create_table(
        "session_events",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("processed_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("private", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_session_events_session_id_sessions")
        ),
        sa.PrimaryKeyConstraint("session_id", "seq", name=op.f("pk_session_events")),
        sa.UniqueConstraint("id", name=op.f("uq_session_events_id")),
    )
    op.create_index(
        op.f("ix_session_events_session_id_type_seq"),
        "session_events",
        ["session_id", "type", "seq"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_session_events_session_id_type_seq"), table_name="session_events")

    op.drop_table("session_events")
    op.drop_table("agent_versions")
    op.drop_index(op.f("ix_sessions_workspace_id_created_at_id"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_workspace_id_agent_id_created_at_id"), table_name="sessions")
    op.drop_index("ix_sessions_needs_work", table_name="sessions")
    op.drop_index("ix_sessions_deleted_at", table_name="sessions")

    op.drop_table("sessions")
    op.drop_index(op.f("ix_environments_workspace_id_created_at_id"), table_name="environments")

    op.drop_table("environments")
    op.drop_index(op.f("ix_agents_workspace_id_created_at_id"), table_name="agents")

    op.drop_table("agents")
