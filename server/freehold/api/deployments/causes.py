"""Why a run gets no session (spec 13.3): what its deployment names and is not there any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from freehold.api.deployment_runs.schemas import ErrorType
from freehold.api.session_resources.attaching import NOT_ON_SELF_HOSTED
from freehold.api.skills import service as skill_service
from freehold.core import attachments
from freehold.core.ids import is_id
from freehold.core.networking import blocked_mcp_servers
from freehold.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited
from freehold.store import environments, files, memory_stores, vaults
from freehold.store.agents import AgentRow
from freehold.store.deployments import DeploymentRow
from freehold.store.environments import EnvironmentRow
from freehold.store.units import ReadSession

log = logging.getLogger(__name__)

_REJECTED = "session creation rejected: "
_NOT_FOUND = "a referenced resource was not found; check deployment configuration"


@dataclass(frozen=True)
class Failure:
    """The error of a run."""

    type: ErrorType
    message: str


def _failure(kind: ErrorType, text: str) -> Failure:
    return Failure(kind, _REJECTED + text)


async def known(
    session: ReadSession, row: DeploymentRow, agent: AgentRow | None, now: datetime
) -> Failure | None:
    """What is wrong with what the deployment names, as far as there is a type for it.

    ``agent`` is the one that it pins, ``None`` if that was deleted.
    """
    if agent is None:
        return _failure("session_resource_not_found_error", _NOT_FOUND)
    if agent.archived_at is not None:
        return _failure("agent_archived_error", f"agent `{agent.id}` is archived")
    environment = await environments.get(session, row.workspace_id, row.environment_id)
    if environment is None:
        return _failure(
            "environment_not_found_error", f"environment `{row.environment_id}` not found"
        )
    if environment.archived_at is not None:
        return _failure("environment_archived_error", f"environment `{environment.id}` is archived")
    return (
        _not_self_hosted(row, environment)
        or await _vaults(session, row)
        or await _memory_stores(session, row)
        or await _files(session, row, now)
        or await _skills(session, row, agent)
        or _mcp_servers(agent, environment)
    )


def _not_self_hosted(row: DeploymentRow, environment: EnvironmentRow) -> Failure | None:
    others = [one for one in row.resources if one["type"] != "memory_store"]
    if environment.config["type"] != "self_hosted" or not others:
        return None
    return _failure(
        "self_hosted_resources_unsupported_error", NOT_ON_SELF_HOSTED.format(id=environment.id)
    )


async def _vaults(session: ReadSession, row: DeploymentRow) -> Failure | None:
    for vault_id in dict.fromkeys(row.vault_ids):
        vault = None
        if is_id("vlt", vault_id):
            vault = await vaults.get(session, row.workspace_id, vault_id)
        if vault is None:
            return _failure("vault_not_found_error", f"vault `{vault_id}` not found")
        if vault.archived_at is not None:
            return _failure("vault_archived_error", f"vault `{vault_id}` is archived")
    return None


async def _memory_stores(session: ReadSession, row: DeploymentRow) -> Failure | None:
    for one in row.resources:
        if one["type"] != "memory_store":
            continue
        store = await memory_stores.get(session, row.workspace_id, one["memory_store_id"])
        if store is None:
            return _failure("session_resource_not_found_error", _NOT_FOUND)
        if store.archived_at is not None:
            return _failure(
                "memory_store_archived_error",
                "a referenced memory store is archived; check deployment resources",
            )
    return None


async def _files(session: ReadSession, row: DeploymentRow, now: datetime) -> Failure | None:
    wanted = list(dict.fromkeys(_file_ids(row)))
    if not wanted:
        return None
    there = await files.some(session, row.workspace_id, wanted)
    found = {file.id for file in there if not file.expired(now)}
    for file_id in wanted:
        if file_id not in found:
            return _failure("file_not_found_error", f"file `{file_id}` not found")
    return None


def _file_ids(row: DeploymentRow) -> Iterator[str]:
    for one in row.resources:
        if one["type"] == "file":
            yield one["file_id"]
    for event in row.initial_events:
        for block in event.get("content") or ():
            if (file_id := attachments.file_id_of(block)) is not None:
                yield file_id


async def _skills(session: ReadSession, row: DeploymentRow, agent: AgentRow) -> Failure | None:
    try:
        await skill_service.check_references(session, row.workspace_id, agent.body["skills"])
    except InvalidRequest as error:
        return _failure("skill_not_found_error", error.message)
    return None


def _mcp_servers(agent: AgentRow, environment: EnvironmentRow) -> Failure | None:
    problem = blocked_mcp_servers(agent.body, environment.config)
    return None if problem is None else _failure("mcp_egress_blocked_error", problem)


def of_error(error: Exception) -> Failure:
    """The failure of a run whose session was refused, or could not be created."""
    match error:
        case RateLimited() | Overloaded():
            return Failure("session_rate_limited_error", error.message)
        case NotFound():
            return _failure("session_resource_not_found_error", _NOT_FOUND)
        case ApiError():
            return _failure("session_creation_rejected_error", error.message)
    log.error("a run could not create its session", exc_info=error)
    return Failure("unknown_error", "session creation failed")
