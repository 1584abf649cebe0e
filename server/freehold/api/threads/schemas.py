"""Session threads on the wire (spec 7.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from freehold.api.agents.schemas import AgentDefinition
from freehold.api.requests import INTEGER, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.api.sessions.schemas import Status, Usage
from freehold.core import limits


class ThreadListQuery(Query):
    """Parameters of ``GET /v1/sessions/{session_id}/threads``."""

    limit: Annotated[int, Field(ge=1, le=limits.THREADS_PAGE_MAX), INTEGER] = (
        limits.THREADS_PAGE_MAX
    )
    page: str | None = None
    statuses: list[Status] = Field(default=[], alias="statuses[]")


class ThreadAgent(AgentDefinition):
    """The agent of a thread."""

    id: str
    type: Literal["agent"] = "agent"
    version: int


class ThreadStats(Shown):
    """How long a thread ran and has been there, in seconds."""

    active_seconds: float
    duration_seconds: float
    startup_seconds: float | None = None


class Thread(Shown):
    """A thread of a session; the primary one has no parent."""

    id: str
    type: Literal["session_thread"] = "session_thread"
    session_id: str
    parent_thread_id: str | None
    agent: ThreadAgent
    status: Status
    stats: ThreadStats | None
    usage: Usage | None
    workflow_run_id: str | None
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class ThreadPage(Shown):
    """The threads of a session."""

    data: list[Thread]
    next_page: str | None = None
