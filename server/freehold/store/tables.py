"""Every table on one page (SQLAlchemy Core).

Times are microseconds since the epoch in a BIGINT, so SQLite and PostgreSQL keep and compare
them alike. An event's ``body`` is the JSON text that clients get, written once and never parsed
again on the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from freehold.core import times

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds since the epoch."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else times.to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else times.from_micros(value)


def _shelves(table: str, parts: Mapping[str, str], *columns: str) -> list[sa.Index]:
    """Indexes that keep a list's rows apart, each in the list's order (:mod:`store.keyset`).

    ``parts``: what each holds, by name. ``columns``: what is besides one in what a page reads.
    """
    return [
        sa.Index(
            f"ix_{table}_{name}_{'_'.join(columns)}",
            *columns,
            "created_at",
            "id",
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
        for name, where in parts.items()
    ]


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
    f"{trigger}_{outcome}": f"scheduled_at IS {scheduled} AND session_id IS {session}"
    for trigger, scheduled in (("manual", "NULL"), ("scheduled", "NOT NULL"))
    for outcome, session in (("failed", "NULL"), ("begun", "NOT NULL"))
}

workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("display_color", sa.String(16), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    sa.Index(None, "created_at", "id"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    # The part by which a key is found, and the SHA-256 of all of it.
    sa.Column("lookup", sa.String(64), nullable=False, unique=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("hint", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # None: an admin's.
    sa.Column("workspace_id", sa.String(64), sa.ForeignKey("workspaces.id")),
    # No foreign key: a worker's key outlives its environment, and then finds nothing.
    sa.Column("environment_id", sa.String(64)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("last_used_at", Moment),
    sa.Index(None, "created_at", "id"),
)

agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    *_shelves("agents", _LIVE_OR_NOT, "workspace_id"),
)

agent_versions = sa.Table(
    "agent_versions",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

environments = sa.Table(
    "environments",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    *_shelves("environments", _LIVE_OR_NOT, "workspace_id"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("agent_id", sa.String(64), nullable=False),
    sa.Column("agent_version", sa.Integer, nullable=False),
    sa.Column("agent", sa.JSON, nullable=False),
    sa.Column("environment_id", sa.String(64), nullable=False),
    sa.Column("environment", sa.JSON, nullable=False),
    sa.Column("primary_thread_id", sa.String(64), nullable=False),
    sa.Column("vault_ids", sa.JSON, nullable=False, server_default=sa.text("'[]'")),
    sa.Column("title", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("budget", sa.BigInteger),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("head_seq", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("needs_work", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    sa.Column("deleted_at", Moment),
    # The deployment whose run created it.
    sa.Column("deployment_id", sa.String(64)),
    *_shelves("sessions", _SESSIONS, "workspace_id", "status"),
    *_shelves("sessions", _SESSIONS, "agent_id", "status"),
    *_shelves("sessions", _SESSIONS, "agent_id", "agent_version", "status"),
    *_shelves("sessions", _SESSIONS_OF_DEPLOYMENTS, "deployment_id", "status"),
    sa.Index(
        "ix_sessions_needs_work",
        "id",
        sqlite_where=sa.text("needs_work = 1"),
        postgresql_where=sa.text("needs_work"),
    ),
    sa.Index(
        "ix_sessions_deleted_at",
        "deleted_at",
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    ),
)

session_events = sa.Table(
    "session_events",
    metadata,
    sa.Column("session_id", sa.String(64), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("origin", sa.String(8), nullable=False),
    sa.Column("processed_at", Moment, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("private", sa.Text),
    sa.Index(None, "session_id", "type", "seq"),
)

timers = sa.Table(
    "timers",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("due_at", Moment, nullable=False, index=True),
)

vaults = sa.Table(
    "vaults",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    *_shelves("vaults", _LIVE_OR_NOT, "workspace_id"),
)

vault_credentials = sa.Table(
    "vault_credentials",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("vault_id", sa.String(64), sa.ForeignKey("vaults.id"), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("display_name", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("auth", sa.JSON, nullable=False),
    # What no two active credentials of a vault share: the server's URL or the variable's name.
    sa.Column("purpose", sa.Text, nullable=False),
    # The ciphertext of the secrets (store.sealing); none once archived.
    sa.Column("sealed", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    sa.Index(None, "vault_id", "created_at", "id"),
    *_shelves("vault_credentials", {"live": "archived_at IS NULL"}, "vault_id"),
    sa.Index(
        "uq_vault_credentials_active",
        "vault_id",
        "purpose",
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    ),
)

user_profiles = sa.Table(
    "user_profiles",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("name", sa.Text),
    # The name in UTF-8, its ASCII letters in lower case: bytes sort alike on both databases.
    sa.Column("name_key", sa.LargeBinary),
    sa.Column("access_type", sa.String(16), nullable=False),
    # What the platform has said of the entity; what it has not said is not in it.
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "workspace_id", "created_at", "id"),
    sa.Index(None, "workspace_id", "name_key", "id"),
)

tunnels = sa.Table(
    "tunnels",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("display_name", sa.Text),
    sa.Column("domain", sa.String(253), nullable=False, unique=True),
    sa.Column("token_id", sa.String(64), nullable=False),
    # The ciphertext of the token (store.sealing); none once archived.
    sa.Column("sealed", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    *_shelves("tunnels", _LIVE_OR_NOT, "workspace_id"),
)

tunnel_certificates = sa.Table(
    "tunnel_certificates",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tunnel_id", sa.String(64), sa.ForeignKey("tunnels.id"), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("pem", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    sa.Index(None, "tunnel_id", "created_at", "id"),
    *_shelves("tunnel_certificates", {"live": "archived_at IS NULL"}, "tunnel_id"),
)

# Who put which token in the place of the one before, and why.
tunnel_rotations = sa.Table(
    "tunnel_rotations",
    metadata,
    sa.Column("token_id", sa.String(64), primary_key=True),
    sa.Column("tunnel_id", sa.String(64), sa.ForeignKey("tunnels.id"), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("api_key_id", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index(None, "tunnel_id", "created_at"),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("mime_type", sa.String(255), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("downloadable", sa.Boolean, nullable=False),
    # The session that the file belongs to.
    sa.Column("scope_id", sa.String(64)),
    # Key of the content, which copies share; none once the file has expired.
    sa.Column("blob", sa.String(200), index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    *_shelves("files", {"unscoped": "scope_id IS NULL"}, "workspace_id"),
    sa.Index(None, "scope_id", "created_at", "id"),
    sa.Index(
        "ix_files_expires_at",
        "expires_at",
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    ),
)

memory_stores = sa.Table(
    "memory_stores",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    # Rises with every change of a memory.
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    *_shelves("memory_stores", _LIVE_OR_NOT, "workspace_id"),
)

# What a memory holds is in its newest version. Whoever changes any of a store's memories has the
# store's row locked.
memories = sa.Table(
    "memories",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("memory_store_id", sa.String(64), sa.ForeignKey("memory_stores.id"), nullable=False),
    sa.Column("version_id", sa.String(64), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    # The path up to and with its last slash.
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("content_sha256", sa.String(64), nullable=False),
    sa.Column("content_size_bytes", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "memory_store_id", "created_at", "id"),
    sa.Index("uq_memories_path", "memory_store_id", "path", unique=True),
)

memory_versions = sa.Table(
    "memory_versions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("memory_store_id", sa.String(64), sa.ForeignKey("memory_stores.id"), nullable=False),
    # No foreign key: versions stay when their memory is deleted.
    sa.Column("memory_id", sa.String(64), nullable=False),
    sa.Column("operation", sa.String(16), nullable=False),
    sa.Column("path", sa.Text),
    sa.Column("content", sa.Text),
    sa.Column("content_sha256", sa.String(64)),
    sa.Column("content_size_bytes", sa.Integer),
    sa.Column("created_by_type", sa.String(32), nullable=False),
    sa.Column("created_by_id", sa.String(64), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("redacted_by_type", sa.String(32)),
    sa.Column("redacted_by_id", sa.String(64)),
    sa.Column("redacted_at", Moment),
    sa.Index(None, "memory_store_id", "operation", "created_at", "id"),
    sa.Index(None, "memory_id", "operation", "created_at", "id"),
    sa.Index(
        "ix_memory_versions_author",
        "memory_store_id",
        "created_by_id",
        "operation",
        "created_at",
        "id",
    ),
)

skills = sa.Table(
    "skills",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    # None only where a client of the older API deleted every version.
    sa.Column("latest_version_id", sa.String(64)),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "workspace_id", "created_at", "id"),
)

skill_versions = sa.Table(
    "skill_versions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("skill_id", sa.String(64), sa.ForeignKey("skills.id"), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    # Microseconds since the epoch, rising within a skill: the older API's name of the version.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("directory", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("skill_id", "number"),
    sa.Index(None, "skill_id", "created_at", "id"),
)

skill_contents = sa.Table(
    "skill_contents",
    metadata,
    sa.Column("version_id", sa.String(64), sa.ForeignKey("skill_versions.id"), primary_key=True),
    sa.Column("archive", sa.LargeBinary, nullable=False),
)

session_skills = sa.Table(
    "session_skills",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    # What `latest` and the like meant when the session was created, in order.
    sa.Column("skills", sa.JSON, nullable=False),
)

session_placeholders = sa.Table(
    "session_placeholders",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("credential_id", sa.String(64), primary_key=True),
    # What the session's sandbox has in the place of the credential's value.
    sa.Column("placeholder", sa.String(128), nullable=False),
)

session_outputs = sa.Table(
    "session_outputs",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    # In the sandbox.
    sa.Column("path", sa.Text, primary_key=True),
    # Of what was last kept of the path, and the file that has it.
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("file_id", sa.String(64), nullable=False),
)

session_resources = sa.Table(
    "session_resources",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("session_id", sa.String(64), nullable=False),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    # Rises in the order in which the session was given them.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    # What the API shows, without id and times.
    sa.Column("body", sa.JSON, nullable=False),
    # Of a memory store's resource, for the list of the sessions that have a store.
    sa.Column("memory_store_id", sa.String(64)),
    # The ciphertext of a repository's token (store.sealing).
    sa.Column("secret", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.UniqueConstraint("session_id", "position"),
    sa.Index(
        "ix_session_resources_memory_store_id",
        "memory_store_id",
        "created_at",
        "session_id",
        sqlite_where=sa.text("memory_store_id IS NOT NULL"),
        postgresql_where=sa.text("memory_store_id IS NOT NULL"),
    ),
)

# What sessions' sandboxes hold of memory stores: what the store had too when they were in step.
memory_copies = sa.Table(
    "memory_copies",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("memory_store_id", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("sandbox_id", sa.Text, nullable=False),
    # None: nothing is there.
    sa.Column("sha256", sa.String(64)),
    # What is being put there in its place; empty: nothing.
    sa.Column("coming", sa.String(64)),
)

session_repository_skills = sa.Table(
    "session_repository_skills",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    # Path in the sandbox and content (base64) of each SKILL.md, as it was at the start.
    sa.Column("skills", sa.JSON, nullable=False),
)

session_checkpoints = sa.Table(
    "session_checkpoints",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    # Key of the archive of the sandbox's files.
    sa.Column("blob", sa.String(200), nullable=False, index=True),
    # How far the session's log was.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    # When the first checkpoint of these files was taken; they are kept so long after it.
    sa.Column("began_at", Moment, nullable=False, index=True),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("workspace_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    # SHA-256 of the request.
    sa.Column("fingerprint", sa.String(64), nullable=False),
    # The ciphertext of the answer (store.sealing).
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
)

# Self-hosted environments: an item a session.
work = sa.Table(
    "work",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("environment_id", sa.String(64), nullable=False),
    sa.Column("session_id", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("available_at", Moment, nullable=False),
    sa.Column("ttl", sa.Integer, nullable=False),
    sa.Column("offered_at", Moment),
    sa.Column("acknowledged_at", Moment),
    sa.Column("latest_heartbeat_at", Moment),
    sa.Column("stop_requested_at", Moment),
    sa.Column("stopped_at", Moment),
    sa.Column("lease_until", Moment),
    sa.Column("wanted", sa.Boolean, nullable=False),
    sa.Column("held", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    # Digests of the tokens that the newest poll handed out with it, and the one before.
    sa.Column("token", sa.String(64), index=True),
    sa.Column("previous_token", sa.String(64), index=True),
    sa.Index(None, "environment_id", "state", "started_at"),
    sa.Index(None, "environment_id", "created_at", "id"),
)

work_pollers = sa.Table(
    "work_pollers",
    metadata,
    sa.Column("environment_id", sa.String(64), primary_key=True),
    sa.Column("worker_id", sa.String(256), primary_key=True),
    sa.Column("polled_at", Moment, nullable=False),
)

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    # Whether the settings name it; else a client made it.
    sa.Column("configured", sa.Boolean, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled_events", sa.JSON, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.Text, nullable=False),
    # Ciphertexts (store.sealing) of the signing secret and of the one before it.
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("old_secret", sa.Text),
    # Until when deliveries are signed with the old one too.
    sa.Column("overlap_until", Moment),
    # Since when no delivery has succeeded although some were tried.
    sa.Column("failing_since", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "workspace_id", "created_at", "id"),
)

# What is still to be delivered, written with the change that it tells of.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("endpoint_id", sa.String(64), primary_key=True),
    sa.Column("event_id", sa.String(64), primary_key=True),
    # As it is sent, without the organization.
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # When it is to be tried; while somebody tries it, when another may.
    sa.Column("due_at", Moment, nullable=False),
    sa.Index(None, "due_at"),
    sa.Index(None, "endpoint_id", "due_at", "event_id"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("agent_id", sa.String(64), nullable=False),
    sa.Column("agent_version", sa.Integer, nullable=False),
    sa.Column("environment_id", sa.String(128), nullable=False),
    sa.Column("initial_events", sa.JSON, nullable=False),
    # As the API shows them; the ciphertext of repositories' tokens (store.sealing) is beside them.
    sa.Column("resources", sa.JSON, nullable=False),
    sa.Column("sealed", sa.Text),
    sa.Column("vault_ids", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    # In cents.
    sa.Column("budget", sa.BigInteger),
    # Of the schedule; both or none.
    sa.Column("expression", sa.Text),
    sa.Column("timezone", sa.String(64)),
    # The occurrence that comes next, and when its run starts; none while nothing is scheduled.
    sa.Column("scheduled_at", Moment),
    sa.Column("starts_at", Moment),
    sa.Column("last_run_at", Moment),
    # `manual`, or the type of the error that paused it; none while it is active.
    sa.Column("paused", sa.String(64)),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("archived_at", Moment),
    *_shelves("deployments", _DEPLOYMENTS, "workspace_id"),
    *_shelves("deployments", _DEPLOYMENTS, "agent_id"),
    sa.Index(
        "ix_deployments_starts_at",
        "starts_at",
        sqlite_where=sa.text("starts_at IS NOT NULL"),
        postgresql_where=sa.text("starts_at IS NOT NULL"),
    ),
)

deployment_runs = sa.Table(
    "deployment_runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("deployment_id", sa.String(64), sa.ForeignKey("deployments.id"), nullable=False),
    sa.Column("agent_id", sa.String(64), nullable=False),
    sa.Column("agent_version", sa.Integer, nullable=False),
    # The occurrence of the schedule; none of a manual run.
    sa.Column("scheduled_at", Moment),
    # Either a session or an error.
    sa.Column("session_id", sa.String(64)),
    sa.Column("error_type", sa.String(64)),
    sa.Column("error_message", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    # Of an occurrence there is one run, however many servers look at the clock.
    sa.Index(
        "uq_deployment_runs_scheduled",
        "deployment_id",
        "scheduled_at",
        unique=True,
        sqlite_where=sa.text("scheduled_at IS NOT NULL"),
        postgresql_where=sa.text("scheduled_at IS NOT NULL"),
    ),
    *_shelves("deployment_runs", _RUNS, "workspace_id"),
    *_shelves("deployment_runs", _RUNS, "deployment_id"),
)

dreams = sa.Table(
    "dreams",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("workspace_id", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    # Of the inputs. No foreign keys: a dream outlives what it read.
    sa.Column("memory_store_id", sa.String(64), nullable=False),
    sa.Column("session_ids", sa.JSON, nullable=False),
    sa.Column("model", sa.JSON, nullable=False),
    sa.Column("instructions", sa.Text),
    sa.Column("update_existing", sa.Boolean, nullable=False),
    sa.Column("output_store_id", sa.String(64)),
    # The session that runs it.
    sa.Column("session_id", sa.String(64)),
    # Tokens by their names; while the session runs it knows better.
    sa.Column("usage", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON),
    # Whether a server has still something to do for it, after a cancel too.
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("started_at", Moment),
    sa.Column("ended_at", Moment),
    sa.Column("archived_at", Moment),
    *_shelves("dreams", _LIVE_OR_NOT, "workspace_id", "status"),
    sa.Index(
        "ix_dreams_active",
        "memory_store_id",
        "id",
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    ),
)

# What is left of the limits on requests (store.request_rates).
request_rates = sa.Table(
    "request_rates",
    metadata,
    # Whose limit: empty for the organization's, else a workspace or a key.
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    # Microseconds since 1970 (core.rates).
    sa.Column("full_at", sa.BigInteger, nullable=False),
)
