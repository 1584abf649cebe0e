"""Every query names the workspace, or there is a reason why not."""

from __future__ import annotations

import ast
from pathlib import Path

import freehold.store
from freehold.store import tables

FOLDER = Path(freehold.store.__file__).parent
STATEMENTS = {"select", "insert", "update", "delete"}
ROWS = {
    "AgentRow", "CertificateRow", "CredentialRow", "DeploymentRow", "DreamRow", "EndpointRow",
    "EnvironmentRow", "MemoryStoreRow", "ResourceRow", "Rotation", "RunRow", "SessionRow",
    "SessionSpec", "SkillRow", "SkillVersionRow", "StoredFile", "TunnelRow", "UserProfileRow",
    "VaultRow",
}  # fmt: skip
"""What has its own workspace, and was read with the caller's or is being made for it."""

OF_THE_ORGANIZATION = {"keys", "request_rates", "workspaces"}
"""Modules whose tables are the organization's. A key says which workspace a request is of, and rate
limits are whose the settings say."""

OF_THE_SERVER = {
    "checkpoints.SqlCheckpoints.sweep",
    "checkpoints.SqlCheckpoints._drop_unused",
    "deployment_runs.exists",
    "deployments.SqlTimetable.due",
    "deployments.SqlTimetable.next_due",
    "deployments.scheduled",
    "deployments.take",
    "dreams.SqlDreams.active",
    "dreams.take",
    "event_log.SqlEventLog.alive",
    "event_log.SqlEventLog.unfinished",
    "event_log.SqlEventLog.purge_deleted",
    "files.total_bytes",
    "files.in_use",
    "files.expired",
    "files.forget_blobs",
    "files.delete_expired",
    "idempotency.forget",
    "migrate.upgrade",
    "resealing.reseal",
    "timers.SqlTimers.due",
    "timers.SqlTimers.next_due",
    "timers.SqlTimers.clear",
    "webhook_deliveries.SqlOutbox.claim",
    "webhook_deliveries.SqlOutbox.delivered",
    "webhook_deliveries.SqlOutbox.disable",
    "webhook_deliveries.SqlOutbox.failed",
    "webhook_deliveries.SqlOutbox.next_due",
    "webhook_deliveries._claimed",
    "webhook_deliveries._disable",
    "webhook_deliveries._due",
    "webhook_endpoints.SqlWebhookEndpoints.reseal",
    "work_rows.follow",
}
"""Its own work on all that there is: starting, upkeep, waking, telling. No request leads there."""

OF_A_SESSION_AT_WORK = {
    "checkpoints.SqlCheckpoints._kept",
    "checkpoints.SqlCheckpoints._row",
    "checkpoints.SqlCheckpoints.forget",
    "credentials.SqlCredentialStore.refresh_failed",
    "credentials.SqlCredentialStore.reload",
    "credentials.SqlCredentialStore.renew",
    "event_log.SqlEventLog.read",
    "event_log.SqlEventLog.spec",
    "event_log.SqlEventLog.state",
    "memory_copies.SqlMemoryCopies.begin",
    "memory_copies._replace",
    "memory_copies._rows",
    "outbox.listeners",
    "outputs.SqlOutputs.kept",
    "repository_skills.SqlRepositorySkills.keep",
    "repository_skills.SqlRepositorySkills.load",
    "sessions.has_event",
    "sessions.last_error",
    "units.WriteSession.append",
    "units.WriteSession.event_type",
    "variables.SqlVariables._placeholders",
}
"""Asked for a session that the server runs, by an id that came from the server's own log."""

OF_A_PARENT = {
    "credentials.active",
    "credentials.archive_all",
    "credentials.of_vault",
    "credentials.page",
    "event_log.EventReader._first_at",
    "event_log.EventReader.latest_seq",
    "event_log.EventReader.seq_of",
    "event_log.EventReader.since",
    "memories.count",
    "memories.delete",
    "memories.hashes",
    "memories.in_the_way",
    "memories.insert",
    "memories.insert_all",
    "memories.prefixes",
    "memories.size",
    "memories.update",
    "memory_copies.forget",
    "memory_stores.changed",
    "memory_versions.content_of",
    "memory_versions.get",
    "memory_versions.insert_all",
    "memory_versions.page_of",
    "memory_versions.redact",
    "outbox._write",
    "outputs.forget",
    "session_resources.forget",
    "session_resources.get",
    "session_resources.last_position",
    "session_resources.of_session",
    "session_resources.of_sessions",
    "session_resources.page",
    "skills.SkillContents.drop",
    "skills.SkillContents.get",
    "skills.SkillContents.put",
    "skills.newest_versions",
    "skills.numbers",
    "webhook_endpoints._drop_deliveries",
    "work.insert",
    "work.polled",
    "work.save",
}
"""What is in a vault, session, memory store or skill that was found with its workspace, in the same
transaction. `tests/security/test_tenancy.py` asks each route for another's."""

OF_A_SECRET = {"work.of_token"}
"""Found by what only its owner knows; the row says the workspace."""

PARTS = {"agents._versions", "event_log.page_of", "memories._selected"}
"""Statements without a condition yet; who asks them adds it."""


def _uses_tables(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and (part.value.id, part.attr) in {("sa", name) for name in STATEMENTS}
        for part in ast.walk(node)
    )


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _constants(module: ast.Module) -> set[str]:
    """Names of statements that are made once."""
    found: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.Assign) and (
            _uses_tables(node)
            or any(isinstance(p, ast.Name) and p.id in found for p in ast.walk(node))
        ):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _queries() -> dict[str, ast.AsyncFunctionDef | ast.FunctionDef]:
    """Every function of the store that has a query in it, by module and name."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        module = ast.parse(path.read_text())
        constants = _constants(module)
        for outer in module.body:
            inner = outer.body if isinstance(outer, ast.ClassDef) else [outer]
            for node in inner:
                if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                    continue
                if _uses_tables(node) or _names(node) & constants:
                    where = f"{outer.name}." if isinstance(outer, ast.ClassDef) else ""
                    found[f"{path.stem}.{where}{node.name}"] = node
    return found


def _names_workspace(node: ast.AsyncFunctionDef | ast.FunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    for argument in arguments:
        kinds = {
            part.id
            for part in ast.walk(argument.annotation or argument)
            if isinstance(part, ast.Name)
        }
        if argument.arg == "workspace_id" or kinds & ROWS:
            return True
    return False


def test_every_query_names_the_workspace() -> None:
    queries = _queries()
    assert len(queries) > 80
    without = {
        name
        for name, node in queries.items()
        if not _names_workspace(node) and name.partition(".")[0] not in OF_THE_ORGANIZATION
    }
    excused = OF_THE_SERVER | OF_A_SESSION_AT_WORK | OF_A_PARENT | OF_A_SECRET | PARTS
    assert without - excused == set()
    assert excused - without == set(), "these name it now, or are gone"


def test_every_table_of_a_workspaces_things_has_the_workspace() -> None:
    """Or hangs on one that has, by a column with the parent's id."""
    parents = {"session_id", "memory_store_id", "version_id", "environment_id", "endpoint_id"}
    without = {
        table.name
        for table in tables.metadata.tables.values()
        if "workspace_id" not in table.c and not parents & set(table.c.keys())
    }
    assert without == {"request_rates", "workspaces"}
