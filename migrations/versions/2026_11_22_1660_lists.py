"""Indexes that keep the rows of a list apart by what its filters ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221660"
down_revision = "202611221650"
branch_labels = None
depends_on = None

_LIVE_OR_NOT = {"live": "archived_at IS NULL", "archived": "archived_at IS NOT NULL"}
_SESSIONS = {name: f"{where} AND deleted_at IS NULL" for name, where in _LIVE_OR_NOT.items()}
_SESSIONS_OF_DEPLOYMENTS = {
    name: f"{where} AND deployment_id IS NOT NULL" for name, where in _SESSIONS.items()
}
_DEPLOYMENTS = {
    "active": "archived_at IS NULL AND paused IS NULL",
    "paused": "archived_at IS NULL AND paused IS NOT NULL",
    "archived": "archived_at IS NOT NULL",
}
_RUNS = {
    "manual_failed": "scheduled_at IS NULL AND session_id IS NULL",
    "manual_begun": "scheduled_at IS NULL AND session_id IS NOT NULL",
    "scheduled_failed": "scheduled_at IS NOT NULL AND session_id IS NULL",
    "scheduled_begun": "scheduled_at IS NOT NULL AND session_id IS NOT NULL",
}
_SHELVES = (
    ("agents", _LIVE_OR_NOT, ("workspace_id",)),
    ("environments", _LIVE_OR_NOT, ("workspace_id",)),
    ("vaults", _LIVE_OR_NOT, ("workspace_id",)),
    ("memory_stores", _LIVE_OR_NOT, ("workspace_id",)),
    ("vault_credentials", {"live": "archived_at IS NULL"}, ("vault_id",)),
    ("tunnels", _LIVE_OR_NOT, ("workspace_id",)),
    ("tunnel_certificates", {"live": "archived_at IS NULL"}, ("tunnel_id",)),
    ("files", {"unscoped": "scope_id IS NULL"}, ("workspace_id",)),
    ("sessions", _SESSIONS, ("workspace_id", "status")),
    ("sessions", _SESSIONS, ("agent_id", "status")),
    ("sessions", _SESSIONS, ("agent_id", "agent_version", "status")),
    ("sessions", _SESSIONS_OF_DEPLOYMENTS, ("deployment_id", "status")),
    ("deployments", _DEPLOYMENTS, ("workspace_id",)),
    ("deployments", _DEPLOYMENTS, ("agent_id",)),
    ("deployment_runs", _RUNS, ("workspace_id",)),
    ("deployment_runs", _RUNS, ("deployment_id",)),
    ("dreams", _LIVE_OR_NOT, ("workspace_id", "status")),
)
_VERSIONS = {
    "ix_memory_versions_memory_store_id_operation_created_at_id": ("memory_store_id", "operation"),
    "ix_memory_versions_memory_id_operation_created_at_id": ("memory_id", "operation"),
    "ix_memory_versions_author": ("memory_store_id", "created_by_id", "operation"),
}
_REPLACED = (
    ("agents", ("workspace_id",)),
    ("environments", ("workspace_id",)),
    ("vaults", ("workspace_id",)),
    ("memory_stores", ("workspace_id",)),
    ("tunnels", ("workspace_id",)),
    ("files", ("workspace_id",)),
    ("sessions", ("workspace_id",)),
    ("sessions", ("workspace_id", "agent_id")),
    ("memory_versions", ("memory_store_id",)),
    ("memory_versions", ("memory_id",)),
    ("deployments", ("workspace_id",)),
    ("deployments", ("workspace_id", "agent_id")),
    ("deployment_runs", ("workspace_id",)),
    ("deployment_runs", ("deployment_id",)),
    ("dreams", ("workspace_id",)),
)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _of_stores(*columns: str) -> None:
    name = "ix_session_resources_memory_store_id"
    op.drop_index(name, "session_resources")
    _partial(name, "session_resources", list(columns), "memory_store_id IS NOT NULL")


def upgrade() -> None:
    for table, columns in _REPLACED:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}_created_at_id", table)
    op.drop_index("ix_sessions_deployment_id", "sessions")
    # An index of runs that no schedule began would seem to be a way to them.
    with op.batch_alter_table("deployment_runs") as batch:
        batch.drop_constraint("uq_deployment_runs_deployment_id_scheduled_at", type_="unique")
    scheduled = sa.text("scheduled_at IS NOT NULL")
    op.create_index(
        "uq_deployment_runs_scheduled",
        "deployment_runs",
        ["deployment_id", "scheduled_at"],
        unique=True,
        sqlite_where=scheduled,
        postgresql_where=scheduled,
    )
    for name, columns in _VERSIONS.items():
        op.create_index(name, "memory_versions", [*columns, "created_at", "id"])
    for table, parts, columns in _SHELVES:
        for part, where in parts.items():
            name = f"ix_{table}_{part}_{'_'.join(columns)}"
            _partial(name, table, [*columns, "created_at", "id"], where)
    # The list of the sessions that have a store goes by these rows, whose times nobody is shown.
    op.execute(
        "UPDATE session_resources SET created_at = coalesce((SELECT sessions.created_at"
        " FROM sessions WHERE sessions.id = session_resources.session_id), created_at)"
        " WHERE memory_store_id IS NOT NULL"
    )
    _of_stores("memory_store_id", "created_at", "session_id")


def downgrade() -> None:
    _of_stores("memory_store_id", "session_id")
    for table, parts, columns in _SHELVES:
        for part in parts:
            op.drop_index(f"ix_{table}_{part}_{'_'.join(columns)}", table)
    for name in _VERSIONS:
        op.drop_index(name, "memory_versions")
    op.drop_index("uq_deployment_runs_scheduled", "deployment_runs")
    with op.batch_alter_table("deployment_runs") as batch:
        batch.create_unique_constraint(
            "uq_deployment_runs_deployment_id_scheduled_at", ["deployment_id", "scheduled_at"]
        )
    _partial(
        "ix_sessions_deployment_id",
        "sessions",
        ["deployment_id", "created_at", "id"],
        "deployment_id IS NOT NULL",
    )
    for table, columns in _REPLACED:
        name = f"ix_{table}_{'_'.join(columns)}_created_at_id"
        op.create_index(name, table, [*columns, "created_at", "id"])
