"""The agent as a session keeps it (spec 5.2)."""

from __future__ import annotations

from freehold.api.agents import definition as definitions
from freehold.api.agents import service as agent_service
from freehold.api.agents import tools
from freehold.api.sessions.schemas import AgentWithOverridesParams, SessionCreateParams
from freehold.api.skills import service as skill_service
from freehold.core.events import Json
from freehold.errors import InvalidRequest
from freehold.store.units import WriteSession


async def snapshot(tx: WriteSession, workspace_id: str, params: SessionCreateParams) -> Json:
    """The agent as the session keeps it."""
    wanted = params.agent
    stored = await agent_service.find(tx, workspace_id, wanted.id, wanted.version)
    if stored.archived_at is not None:
        raise InvalidRequest(f"Agent {stored.id} is archived.")
    agent: Json = {"id": stored.id, "type": "agent", "version": stored.version}
    agent |= {name: stored.body[name] for name in agent_service.FIELDS}
    if isinstance(wanted, AgentWithOverridesParams):
        agent |= _overrides(wanted)
        definitions.check(agent, prefix="agent.agent_with_overrides.config.")
    # Of the agent's own, some may have been deleted since it was saved.
    await skill_service.check_references(tx, workspace_id, agent["skills"])
    return agent


def _overrides(params: AgentWithOverridesParams) -> Json:
    """What replaces the agent's own (spec 5.2); null and [] clear."""
    given = params.model_fields_set
    changed: Json = {}
    if "model" in given:
        if params.model is None:
            raise InvalidRequest(
                "agent.agent_with_overrides.config.model: a session needs a model",
                details={"error_code": "agent_model_required"},
            )
        # Neither the override's effort nor the agent's applies: the model's default does.
        plain = params.model.model_copy(update={"effort": None})
        changed["model"] = definitions.resolve_model(plain)
    if "system" in given:
        changed["system"] = params.system or None
    if "tools" in given:
        changed["tools"] = tools.resolve(params.tools or [])
    if "mcp_servers" in given:
        changed["mcp_servers"] = definitions.resolve_servers(params.mcp_servers or [])
    if "skills" in given:
        changed["skills"] = definitions.resolve_skills(params.skills or [])
    return changed
