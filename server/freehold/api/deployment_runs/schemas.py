"""Runs of deployments on the wire (spec 13.3; appendix B)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from freehold.api.deployments.schemas import AgentReference, PausingError
from freehold.api.requests import INTEGER, Boolean, Moment, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits

TriggerType = Literal["schedule", "manual"]
ErrorType = PausingError | Literal["session_rate_limited_error", "session_creation_rejected_error"]


class RunListQuery(Query):
    """Parameters of ``GET /v1/deployment_runs``."""

    limit: Annotated[int, Field(ge=1, le=limits.RUNS_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    deployment_id: str | None = None
    trigger_type: TriggerType | None = None
    has_error: Boolean | None = None
    created_at_gt: Moment | None = Field(default=None, alias="created_at[gt]")
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class RunError(Shown):
    """Why there is no session."""

    type: ErrorType
    message: str


class StartedBySchedule(Shown):
    """The schedule started it; the time is that of the occurrence, without delay."""

    type: Literal["schedule"] = "schedule"
    scheduled_at: Timestamp


class StartedManually(Shown):
    """A client started it."""

    type: Literal["manual"] = "manual"


class DeploymentRun(Shown):
    """A run: it has a session, or an error."""

    id: str
    type: Literal["deployment_run"] = "deployment_run"
    deployment_id: str
    agent: AgentReference
    trigger_context: Annotated[StartedBySchedule | StartedManually, Field(discriminator="type")]
    session_id: str | None
    error: RunError | None
    created_at: Timestamp


class RunPage(Shown):
    """A page of runs; the last has no ``next_page``."""

    data: list[DeploymentRun]
    next_page: str | None = None
