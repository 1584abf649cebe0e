"""Agents on the wire (spec 2.2, 2.3, 12.1, 12.6; appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from freehold.api.agents.tools import ToolParams
from freehold.api.requests import INTEGER, VERSION_MAX, Boolean, Moment, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.core import limits

EffortLevel = Literal["low", "medium", "high", "xhigh", "max"]
Speed = Literal["standard", "fast"]


class Effort(Params):
    """How hard the model works."""

    type: EffortLevel


def _effort(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class ModelConfigParams(Params):
    """A model and how to run it."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    effort: Annotated[
        Effort | None, BeforeValidator(_effort, json_schema_input_type=EffortLevel | Effort | None)
    ] = None
    speed: Speed | None = None
    inference_geo: Literal["us", "global"] | None = None


def _model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


ModelParam = Annotated[
    ModelConfigParams,
    BeforeValidator(
        _model,
        json_schema_input_type=Annotated[str, Field(min_length=1, max_length=256)]
        | ModelConfigParams,
    ),
]


class URLMCPServerParams(Params):
    """A remote MCP server."""

    type: Literal["url"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=limits.MCP_SERVER_NAME)]
    url: Annotated[str, StringConstraints(min_length=1, max_length=limits.MCP_SERVER_URL)]


class SkillParams(Params):
    """A skill, by name or by id."""

    type: Literal["anthropic", "custom"]
    skill_id: Annotated[str, StringConstraints(min_length=1, max_length=limits.SKILL_ID)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=limits.SKILL_ID)] | None = (
        None
    )


class ServiceAccountParams(Params):
    """The default principal."""

    type: Literal["service_account"]


class AWSRoleParams(Params):
    """An AWS role as principal."""

    type: Literal["aws_role"]
    role_arn: Annotated[str, StringConstraints(min_length=1, max_length=limits.ROLE_ARN)]


ExecutionIdentityParams = Annotated[
    ServiceAccountParams | AWSRoleParams, Field(discriminator="type")
]

Tools = Annotated[list[ToolParams], Field(max_length=limits.TOOL_ENTRIES)]
MCPServers = Annotated[list[URLMCPServerParams], Field(max_length=limits.MCP_SERVERS)]
Skills = Annotated[list[SkillParams], Field(max_length=limits.SKILLS)]
Description = Annotated[str, StringConstraints(max_length=limits.AGENT_DESCRIPTION)]
System = Annotated[str, StringConstraints(max_length=limits.AGENT_SYSTEM)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.AGENT_NAME)]


class AgentCreateParams(Params):
    """Body of ``POST /v1/agents``."""

    name: Name
    model: ModelParam
    description: Description | None = None
    system: System | None = None
    tools: Tools | None = None
    mcp_servers: MCPServers | None = None
    skills: Skills | None = None
    multiagent: dict[str, Any] | None = None
    execution_identity: ExecutionIdentityParams | None = None
    metadata: Metadata | None = None


class AgentUpdateParams(Params):
    """Body of ``POST /v1/agents/{agent_id}``; what is left out stays (spec 2.4)."""

    name: Name | None = None
    model: ModelParam | None = None
    description: Description | None = None
    system: System | None = None
    tools: Tools | None = None
    mcp_servers: MCPServers | None = None
    skills: Skills | None = None
    multiagent: dict[str, Any] | None = None
    execution_identity: ExecutionIdentityParams | None = None
    metadata: MetadataPatch | None = None
    version: Annotated[int, Field(ge=1, le=VERSION_MAX)] | None = None

    @model_validator(mode="after")
    def _not_cleared(self) -> AgentUpdateParams:
        for name in ("name", "model"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise PydanticCustomError(
                    "plain", "agent.{name}: cannot be cleared", {"name": name}
                )
        return self


class AgentListQuery(Query):
    """Parameters of ``GET /v1/agents``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    include_archived: Boolean = False
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class AgentRetrieveQuery(Query):
    """Parameters of ``GET /v1/agents/{agent_id}``."""

    version: Annotated[int, Field(ge=1, le=VERSION_MAX), INTEGER] | None = None


class VersionListQuery(Query):
    """Parameters of ``GET /v1/agents/{agent_id}/versions``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None


class ModelConfig(Shown):
    """A model as it was resolved."""

    id: str
    effort: Effort | None = None
    speed: Speed | None = None
    inference_geo: str | None = None


class MCPServerURLDefinition(Shown):
    """A remote MCP server."""

    type: Literal["url"]
    name: str
    url: str


class Skill(Shown):
    """A skill of an agent; ``version`` may be ``latest``."""

    type: Literal["anthropic", "custom"]
    skill_id: str
    version: str


class ExecutionIdentity(Shown):
    """The principal that sessions of the agent act as."""

    type: Literal["service_account", "aws_role"]
    role_arn: str | None = None


class AgentDefinition(Shown):
    """What an agent and a session's copy of it have in common."""

    name: str
    description: str | None
    model: ModelConfig
    system: str | None
    tools: list[dict[str, Any]]
    """Resolved: every toolset with all its configs and policies."""
    mcp_servers: list[MCPServerURLDefinition]
    skills: list[Skill]
    execution_identity: ExecutionIdentity


class Agent(AgentDefinition):
    """An agent at one of its versions."""

    id: str
    type: Literal["agent"] = "agent"
    version: int
    multiagent: dict[str, Any] | None
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class AgentPage(Shown):
    """A page of agents or of versions of one; the last has no ``next_page``."""

    data: list[Agent]
    next_page: str | None = None
