"""Sessions on the wire (spec 5.2, 5.3; appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from freehold.api.agents.schemas import (
    AgentDefinition,
    MCPServers,
    ModelParam,
    Skills,
    System,
    Tools,
)
from freehold.api.events.schemas import InitialEventParams
from freehold.api.requests import INTEGER, VERSION_MAX, Boolean, Moment, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.api.session_resources.schemas import ResourceParams, SessionResource
from freehold.core import limits

Status = Literal["rescheduling", "running", "idle", "terminated"]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]
_Version = Annotated[int, Field(ge=1, le=VERSION_MAX)]


class AgentParams(Params):
    """An agent, at its newest version or at one of them."""

    type: Literal["agent"]
    id: _Id
    version: _Version | None = None


class AgentWithOverridesParams(Params):
    """An agent with some of its fields replaced for this session."""

    type: Literal["agent_with_overrides"]
    id: _Id
    version: _Version | None = None
    model: ModelParam | None = None
    system: System | None = None
    tools: Tools | None = None
    mcp_servers: MCPServers | None = None
    skills: Skills | None = None


def _cents(value: str) -> str:
    if not (value.isascii() and value.isdigit()) or value.startswith("0"):
        raise ValueError("must be a positive whole number of cents without leading zeros")
    return value


def _agent(value: Any) -> Any:
    return {"type": "agent", "id": value} if isinstance(value, str) else value


_AgentUnion = Annotated[AgentParams | AgentWithOverridesParams, Field(discriminator="type")]


class MonetaryAmountParam(Params):
    """A positive amount of money, in whole cents."""

    amount: Annotated[
        str, StringConstraints(max_length=limits.CENTS_DIGITS), AfterValidator(_cents)
    ]
    currency: Literal["USD"]

    @property
    def cents(self) -> int:
        """The amount as a number."""
        return int(self.amount)


class BudgetLimitParam(Params):
    """The list cost at which a session makes no more model requests (spec 10)."""

    type: Literal["limit"]
    max_list_cost: MonetaryAmountParam


class SessionCreateParams(Params):
    """Body of ``POST /v1/sessions``."""

    agent: Annotated[_AgentUnion, BeforeValidator(_agent, json_schema_input_type=_Id | _AgentUnion)]
    environment_id: _Id
    title: Annotated[str, StringConstraints(max_length=limits.SESSION_TITLE)] | None = None
    metadata: Metadata | None = None
    resources: Annotated[list[ResourceParams], Field(max_length=limits.RESOURCES)] | None = None
    vault_ids: Annotated[list[_Id], Field(max_length=limits.VAULTS)] | None = None
    budget: BudgetLimitParam | None = None
    initial_events: (
        Annotated[list[InitialEventParams], Field(max_length=limits.INITIAL_EVENTS)] | None
    ) = None


class SessionAgentUpdateParams(Params):
    """Change of a session's own copy of its agent; each field replaces the whole."""

    tools: Tools | None = None
    mcp_servers: MCPServers | None = None


class SessionUpdateParams(Params):
    """Body of ``POST /v1/sessions/{session_id}``; what is left out stays."""

    title: (
        Annotated[str, StringConstraints(min_length=1, max_length=limits.SESSION_TITLE)] | None
    ) = None
    metadata: MetadataPatch | None = None
    agent: SessionAgentUpdateParams | None = None
    budget: BudgetLimitParam | None = None
    vault_ids: list[str] | None = None


class SessionListQuery(Query):
    """Parameters of ``GET /v1/sessions``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    order: Literal["asc", "desc"] = "desc"
    agent_id: str | None = None
    agent_version: Annotated[int, Field(ge=1, le=VERSION_MAX), INTEGER] | None = None
    deployment_id: str | None = None
    memory_store_id: str | None = None
    statuses: list[Status] = Field(default=[], alias="statuses[]")
    include_archived: Boolean = False
    created_at_gt: Moment | None = Field(default=None, alias="created_at[gt]")
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class SessionAgent(AgentDefinition):
    """The agent as it was when the session was created, or as the session changed it."""

    id: str
    type: Literal["agent"] = "agent"
    version: int
    multiagent: dict[str, Any] | None


class CacheCreation(Shown):
    """Tokens written to the prompt cache, by how long they live there."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class ServerToolUsage(Shown):
    """Calls of tools that the server runs."""

    web_search_requests: int
    web_fetch_requests: int


class MonetaryAmount(Shown):
    """Money, in cents."""

    amount: str
    currency: str


class BudgetLimit(Shown):
    """The list cost at which the session makes no more model requests."""

    type: Literal["limit"] = "limit"
    max_list_cost: MonetaryAmount


class Usage(Shown):
    """What a session or a thread has used so far."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation: CacheCreation | None
    active_seconds: float
    server_tool_use: ServerToolUsage
    list_cost: MonetaryAmount | None = None


class Stats(Shown):
    """How long a session ran and has been there, in seconds."""

    active_seconds: float
    duration_seconds: float


class Session(Shown):
    """A session."""

    id: str
    type: Literal["session"] = "session"
    status: Status
    title: str | None
    agent: SessionAgent
    environment_id: str
    metadata: dict[str, str]
    resources: list[SessionResource]
    vault_ids: list[str]
    outcome_evaluations: list[dict[str, Any]]
    stats: Stats
    usage: Usage
    budget: BudgetLimit | None
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None
    deployment_id: str | None = None


class SessionPage(Shown):
    """A page of sessions, with cursors both ways where there is more."""

    data: list[Session]
    next_page: str | None = None
    prev_page: str | None = None


class DeletedSession(Shown):
    """What is left of a session."""

    id: str
    type: Literal["session_deleted"] = "session_deleted"
