"""How a dream's session comes to its end, and what it has used until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api.deps import Intake
from freehold.api.sessions import service as session_service
from freehold.core.dreaming import tokens
from freehold.core.events import UserInterrupt
from freehold.errors import NotFound
from freehold.ports.clock import Clock
from freehold.store import sessions
from freehold.store.dreams import DreamRow
from freehold.store.units import ReadSession, WriteSession


async def wind_down(tx: WriteSession, dream: DreamRow, intake: Intake, clock: Clock) -> DreamRow:
    """Have the session of a dream that is over stop, or archive it if it has.

    ``active`` of the answer tells whether there is more to do once the session has stopped. The
    caller has the dream locked, and keeps what is returned.
    """
    if dream.session_id is None:
        return replace(dream, active=False)
    try:
        session = await session_service.locked(tx, dream.workspace_id, dream.session_id)
    except NotFound:
        return replace(dream, active=False)
    if counts(dream):
        dream = replace(dream, usage=tokens(session.state.usage))
    if session.archived_at is not None:
        return replace(dream, active=False)
    if session.state.status in ("running", "rescheduling"):
        if not session.state.interrupted:
            await intake.send(tx, session.id, [UserInterrupt()])
        return dream
    await session_service.archive(tx, dream.workspace_id, session.id, intake, clock)
    return replace(dream, active=False)


def counts(dream: DreamRow) -> bool:
    """Whether its usage follows its session's; that of a failed dream stays (spec 18)."""
    return dream.active and dream.status in ("running", "canceled")


async def as_of_now(
    session: ReadSession, workspace_id: str, rows: Sequence[DreamRow]
) -> list[DreamRow]:
    """The dreams of a workspace with what those have used so far whose sessions may be running."""
    counting = {row.session_id for row in rows if counts(row) and row.session_id is not None}
    states = await sessions.states(session, workspace_id, counting)
    return [
        replace(row, usage=tokens(states[row.session_id].usage))
        if row.session_id is not None and row.session_id in states
        else row
        for row in rows
    ]
