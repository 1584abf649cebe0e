"""What happens to agents (spec 2.4, 2.5). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.agents import definition as definitions
from freehold.api.agents import tools
from freehold.api.agents.schemas import (
    Agent,
    AgentCreateParams,
    AgentListQuery,
    AgentUpdateParams,
    VersionListQuery,
)
from freehold.api.skills import service as skill_service
from freehold.core import cursors
from freehold.core.cursors import Cursor
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.errors import Conflict, InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import agents, deployments, outbox
from freehold.store.agents import AgentRow
from freehold.store.keyset import Span
from freehold.store.units import ReadSession, WriteSession

LIST = "agents"
VERSIONS = "agent_versions"
FIELDS = (
    "name",
    "description",
    "model",
    "system",
    "tools",
    "mcp_servers",
    "skills",
    "multiagent",
    "execution_identity",
)
"""What a session copies from an agent."""


async def create(
    tx: WriteSession, workspace_id: str, params: AgentCreateParams, clock: Clock
) -> AgentRow:
    """Store a new agent as version 1.

    Raises:
        InvalidRequest, NotSupported: the definition does not hold together.
    """
    definitions.refuse_multiagent(params.multiagent)
    body: Json = {
        "name": params.name,
        "description": params.description or None,
        "model": definitions.resolve_model(params.model),
        "system": params.system or None,
        "tools": tools.resolve(params.tools or []),
        "mcp_servers": definitions.resolve_servers(params.mcp_servers or []),
        "skills": definitions.resolve_skills(params.skills or []),
        "multiagent": None,
        "execution_identity": definitions.resolve_identity(params.execution_identity),
        "metadata": dict(params.metadata or {}),
    }
    definitions.check(body)
    _check_metadata(body["metadata"])
    await skill_service.check_references(tx, workspace_id, body["skills"])
    now = clock.now()
    agent = AgentRow(clock.mint("agent"), workspace_id, 1, body, now, now, None)
    await agents.insert(tx, agent)
    await outbox.tell(tx, workspace_id, "agent.created", agent.id, now)
    return agent


async def find(
    session: ReadSession, workspace_id: str, agent_id: str, version: int | None = None
) -> AgentRow:
    """An agent, at a version or at its newest.

    Raises:
        InvalidRequest: no agent id. NotFound: no such agent or version.
    """
    check_id(agent_id)
    if version is None:
        agent = await agents.get(session, workspace_id, agent_id)
    else:
        agent = await agents.get_version(session, workspace_id, agent_id, version)
    if agent is None:
        raise await _missing(session, workspace_id, agent_id, version)
    return agent


async def _missing(
    session: ReadSession, workspace_id: str, agent_id: str, version: int | None
) -> NotFound:
    if version is not None and await agents.get(session, workspace_id, agent_id) is not None:
        return NotFound(f"Agent {agent_id} has no version {version}.")
    return NotFound(f"Agent not found: {agent_id}")


def check_id(agent_id: str) -> None:
    """Refuse what is no agent id (spec 1.4).

    Raises:
        InvalidRequest: it is none.
    """
    if not is_id("agent", agent_id):
        raise InvalidRequest("Invalid agent ID.")


async def listed(
    session: ReadSession, workspace_id: str, query: AgentListQuery
) -> tuple[Sequence[AgentRow], str | None]:
    """A page of agents, each at its newest version."""
    cursor = pages.decode(query.page, LIST, "desc")
    rows = await agents.page(
        session,
        workspace_id,
        after=pages.key(cursor),
        limit=query.limit + 1,
        include_archived=query.include_archived,
        within=Span(gte=query.created_at_gte, lte=query.created_at_lte),
    )
    return pages.forward(rows, query.limit, LIST)


async def versions(
    session: ReadSession, workspace_id: str, agent_id: str, query: VersionListQuery
) -> tuple[Sequence[AgentRow], str | None]:
    """A page of an agent's versions, newest first."""
    await find(session, workspace_id, agent_id)
    cursor = pages.decode(query.page, VERSIONS, "desc")
    before: int | None = None
    if cursor is not None:
        match cursor.key:
            case (int(before), str(owner)) if owner == agent_id:
                pass
            case _:
                raise InvalidRequest(pages.INVALID)
    rows = await agents.page_versions(
        session, workspace_id, agent_id, before=before, limit=query.limit + 1
    )
    if len(rows) <= query.limit:
        return rows, None
    last = rows[query.limit - 1]
    following = cursors.encode(Cursor(VERSIONS, "desc", "next", (last.version, agent_id)))
    return rows[: query.limit], following


async def update(
    tx: WriteSession, workspace_id: str, agent_id: str, params: AgentUpdateParams, clock: Clock
) -> AgentRow:
    """Merge the changes; what changes something makes a new version.

    Raises:
        NotFound, InvalidRequest, NotSupported: as the rest of the API.
        Conflict: ``version`` is not the newest.
    """
    check_id(agent_id)
    stored = await agents.get(tx, workspace_id, agent_id, for_update=True)
    if stored is None:
        raise NotFound(f"Agent not found: {agent_id}")
    if params.version is not None and params.version != stored.version:
        # The same request cannot succeed later, so clients are told not to send it again.
        raise Conflict(
            "Concurrent modification detected. Please fetch the latest version and retry.",
            should_retry=False,
        )
    if stored.archived_at is not None:
        raise InvalidRequest(f"Agent {agent_id} is archived and cannot be modified.")
    merged = _merge(stored.body, params)
    if merged == stored.body:
        return stored
    definitions.check(merged, prefix="agent.")
    _check_metadata(merged["metadata"])
    if params.skills:  # those that stay may have been deleted since, which is allowed
        await skill_service.check_references(tx, workspace_id, merged["skills"])
    agent = replace(stored, version=stored.version + 1, body=merged, updated_at=clock.now())
    await agents.add_version(tx, agent)
    await outbox.tell(tx, workspace_id, "agent.updated", agent.id, agent.updated_at)
    return agent


def _merge(stored: Json, params: AgentUpdateParams) -> Json:
    given = params.model_fields_set
    merged = dict(stored)
    if params.name is not None:
        merged["name"] = params.name
    if params.model is not None:
        merged["model"] = definitions.resolve_model(params.model, stored["model"])
    if "description" in given:
        merged["description"] = params.description or None
    if "system" in given:
        merged["system"] = params.system or None
    if "tools" in given:
        merged["tools"] = tools.resolve(params.tools or [])
    if "mcp_servers" in given:
        merged["mcp_servers"] = definitions.resolve_servers(params.mcp_servers or [])
    if "skills" in given:
        merged["skills"] = definitions.resolve_skills(params.skills or [])
    if "multiagent" in given:
        definitions.refuse_multiagent(params.multiagent)
        merged["multiagent"] = None
    if "execution_identity" in given:
        merged["execution_identity"] = definitions.resolve_identity(params.execution_identity)
    if params.metadata is not None:
        merged["metadata"] = patch_metadata(stored["metadata"], params.metadata)
    return merged


async def archive(tx: WriteSession, workspace_id: str, agent_id: str, clock: Clock) -> AgentRow:
    """Make an agent read-only, and archive its deployments; a second time changes nothing
    (spec 2.5).

    Raises:
        InvalidRequest, NotFound: as :func:`find`.
    """
    agent = await find(tx, workspace_id, agent_id)
    if agent.archived_at is not None:
        return agent
    now = clock.now()
    if await agents.archive(tx, workspace_id, agent_id, now):
        await outbox.tell(tx, workspace_id, "agent.archived", agent_id, now)
    for deployment_id in await deployments.archive_of_agent(tx, workspace_id, agent_id, now):
        await outbox.tell(tx, workspace_id, "deployment.archived", deployment_id, now)
    return await find(tx, workspace_id, agent_id)


def _check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def shown(row: AgentRow) -> Agent:
    """The agent as the API shows it."""
    return Agent.model_validate(
        {
            "id": row.id,
            "type": "agent",
            "version": row.version,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": row.archived_at,
            **row.body,
        }
    )
