"""Deployments on the wire (spec 13.2; appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints

from freehold.api.events.schemas import (
    SystemMessageParams,
    UserDefineOutcomeParams,
    UserMessageParams,
)
from freehold.api.requests import INTEGER, Boolean, Moment, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.api.session_resources.schemas import ResourceParams
from freehold.api.sessions.schemas import AgentParams, BudgetLimit, BudgetLimitParam
from freehold.core import limits

Status = Literal["active", "paused"]
PausingError = Literal[
    "environment_archived_error",
    "environment_not_found_error",
    "agent_archived_error",
    "vault_not_found_error",
    "vault_archived_error",
    "file_not_found_error",
    "memory_store_archived_error",
    "skill_not_found_error",
    "session_resource_not_found_error",
    "workspace_archived_error",
    "organization_disabled_error",
    "self_hosted_resources_unsupported_error",
    "mcp_egress_blocked_error",
    "unknown_error",
]
"""Errors of runs that pause the deployment where a schedule started the run (spec 13.3)."""
PAUSING: frozenset[str] = frozenset(get_args(PausingError))

_Id = Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.DEPLOYMENT_NAME)]
_Description = Annotated[str, StringConstraints(max_length=limits.DEPLOYMENT_DESCRIPTION)]


def _agent(value: Any) -> Any:
    return {"type": "agent", "id": value} if isinstance(value, str) else value


_Agent = Annotated[AgentParams, BeforeValidator(_agent, json_schema_input_type=_Id | AgentParams)]
EventParams = Annotated[
    UserMessageParams | UserDefineOutcomeParams | SystemMessageParams,
    Field(discriminator="type"),
]
_Events = Annotated[list[EventParams], Field(min_length=1, max_length=limits.INITIAL_EVENTS)]
_Resources = Annotated[list[ResourceParams], Field(max_length=limits.RESOURCES)]
_Vaults = Annotated[list[_Id], Field(max_length=limits.VAULTS)]


class ScheduleParams(Params):
    """When runs start by themselves."""

    type: Literal["cron"]
    expression: Annotated[str, StringConstraints(min_length=1, max_length=limits.CRON_EXPRESSION)]
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class DeploymentCreateParams(Params):
    """Body of ``POST /v1/deployments``."""

    name: _Name
    agent: _Agent
    environment_id: _Id
    initial_events: _Events
    schedule: ScheduleParams | None = None
    resources: _Resources | None = None
    vault_ids: _Vaults | None = None
    budget: BudgetLimitParam | None = None
    description: _Description | None = None
    metadata: Metadata | None = None


_OMITTED: Any = None
"""Of fields that can be left out and cannot be null."""


class DeploymentUpdateParams(Params):
    """Body of ``POST /v1/deployments/{deployment_id}``; what is left out stays."""

    name: _Name = _OMITTED
    agent: _Agent = _OMITTED
    environment_id: _Id = _OMITTED
    initial_events: _Events = _OMITTED
    schedule: ScheduleParams | None = None
    resources: _Resources | None = None
    vault_ids: _Vaults | None = None
    budget: BudgetLimitParam | None = None
    description: _Description | None = None
    metadata: MetadataPatch | None = None


class DeploymentListQuery(Query):
    """Parameters of ``GET /v1/deployments``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    agent_id: str | None = None
    status: Status | None = None
    include_archived: Boolean = False
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class AgentReference(Shown):
    """An agent at one of its versions."""

    type: Literal["agent"] = "agent"
    id: str
    version: int


class Schedule(Shown):
    """When runs start by themselves, have started, and will start."""

    type: Literal["cron"] = "cron"
    expression: str
    timezone: str
    last_run_at: Timestamp | None
    upcoming_runs_at: list[Timestamp]


class PausedManually(Shown):
    """A client paused it."""

    type: Literal["manual"] = "manual"


class PausingErrorShown(Shown):
    """What went wrong with the last run."""

    type: PausingError


class PausedByError(Shown):
    """A run that the schedule had started failed."""

    type: Literal["error"] = "error"
    error: PausingErrorShown


class Deployment(Shown):
    """A deployment."""

    id: str
    type: Literal["deployment"] = "deployment"
    name: str
    description: str | None
    agent: AgentReference
    environment_id: str
    initial_events: list[dict[str, Any]]
    schedule: Schedule | None
    status: Status
    paused_reason: Annotated[PausedManually | PausedByError, Field(discriminator="type")] | None
    resources: list[dict[str, Any]]
    vault_ids: list[str]
    budget: BudgetLimit | None = None
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class DeploymentPage(Shown):
    """A page of deployments; the last has no ``next_page``."""

    data: list[Deployment]
    next_page: str | None = None
