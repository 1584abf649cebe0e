"""Work items on the wire (spec 4.2; appendix B)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from freehold.api.requests import INTEGER, Params, Query
from freehold.api.schemas import MetadataPatch, Shown, Timestamp
from freehold.core import limits
from freehold.core.work import RECLAIM_MS, WorkState

BLOCK_MS = 999
"""How long a poll is kept waiting at most; more is taken for this (spec 25, number 6)."""

_Count = Annotated[int, Field(ge=1), INTEGER]


class WorkPollQuery(Query):
    """Parameters of ``GET …/work/poll``."""

    block_ms: _Count | None = None
    reclaim_older_than_ms: _Count = RECLAIM_MS


class WorkListQuery(Query):
    """Parameters of ``GET …/work``."""

    limit: Annotated[int, Field(ge=1, le=limits.WORK_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None


class WorkHeartbeatQuery(Query):
    """Parameters of ``POST …/heartbeat``."""

    desired_ttl_seconds: _Count | None = None
    expected_last_heartbeat: str | None = None


class WorkStopParams(Params):
    """Body of ``POST …/stop``."""

    force: bool | None = None


class WorkUpdateParams(Params):
    """Body of ``POST …/work/{work_id}``."""

    metadata: MetadataPatch


class SessionWorkData(Shown):
    """What there is to do: serve a session."""

    id: str
    type: Literal["session"] = "session"


class Work(Shown):
    """A work item."""

    id: str
    type: Literal["work"] = "work"
    environment_id: str
    state: WorkState
    data: SessionWorkData
    metadata: dict[str, str]
    secret: str | None
    """Only where a poll hands the item out: what the worker shows for the item's session."""
    created_at: Timestamp
    started_at: Timestamp | None
    acknowledged_at: Timestamp | None
    latest_heartbeat_at: Timestamp | None
    stop_requested_at: Timestamp | None
    stopped_at: Timestamp | None


class WorkPage(Shown):
    """A page of work items; the last has ``next_page: null``."""

    data: list[Work]
    next_page: str | None


class WorkHeartbeat(Shown):
    """How a lease stands after a sign of life."""

    type: Literal["work_heartbeat"] = "work_heartbeat"
    last_heartbeat: str
    lease_extended: bool
    state: WorkState
    ttl_seconds: int


class WorkQueueStats(Shown):
    """How a queue stands."""

    type: Literal["work_queue_stats"] = "work_queue_stats"
    depth: int
    pending: int
    oldest_queued_at: Timestamp | None
    workers_polling: int | None
