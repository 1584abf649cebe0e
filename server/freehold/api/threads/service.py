"""The threads of a session: in this version the primary one (spec 7)."""

from __future__ import annotations

from datetime import datetime

from freehold.api import pages
from freehold.api.sessions import service as session_service
from freehold.api.threads.schemas import Thread, ThreadListQuery
from freehold.core.ids import is_id
from freehold.core.usage import render_thread_stats, render_thread_usage
from freehold.errors import InvalidRequest, NotFound
from freehold.store.sessions import SessionRow
from freehold.store.units import ReadSession


async def find(
    session: ReadSession, workspace_id: str, session_id: str, thread_id: str
) -> SessionRow:
    """The session whose primary thread this is.

    Raises:
        NotFound: no such session or thread. InvalidRequest: no thread id.
    """
    row = await session_service.find(session, workspace_id, session_id)
    if not is_id("sthr", thread_id):
        raise InvalidRequest(f"Invalid thread ID: {thread_id[:200]}")
    if thread_id != row.primary_thread_id:
        raise NotFound(f"Thread not found: {thread_id}")
    return row


async def listed(
    session: ReadSession,
    workspace_id: str,
    session_id: str,
    query: ThreadListQuery,
    now: datetime,
) -> list[Thread]:
    """Every thread of the session; there is one page of them.

    Raises:
        NotFound: no such session. InvalidRequest: a cursor, of which none was ever given.
    """
    row = await session_service.find(session, workspace_id, session_id)
    if query.page:
        raise InvalidRequest(pages.INVALID)
    thread = shown(row, now)
    return [thread] if not query.statuses or thread.status in query.statuses else []


def shown(row: SessionRow, now: datetime) -> Thread:
    """The primary thread as the API shows it."""
    state = row.state
    has_run = state.status != "idle" or state.stop_reason is not None
    has_rested = state.active_micros > 0 or state.stop_reason is not None
    agent = {key: value for key, value in row.agent.items() if key != "multiagent"}
    return Thread.model_validate(
        {
            "id": row.primary_thread_id,
            "type": "session_thread",
            "session_id": row.id,
            "parent_thread_id": None,
            "agent": agent,
            # Archiving a session leaves its thread idle, as was recorded (spec 5.4).
            "status": "idle" if state.archived else state.status,
            "stats": render_thread_stats(state, now) if has_run else None,
            "usage": render_thread_usage(state, now) if has_rested else None,
            "workflow_run_id": None,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": None,
        }
    )
