"""What happens to dreams at a client's wish (spec 18). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.deps import Intake
from freehold.api.dreams import ending
from freehold.api.dreams.schemas import (
    Dream,
    DreamCreateParams,
    DreamListQuery,
    DreamModel,
    UpdateExistingParams,
)
from freehold.api.sessions import service as session_service
from freehold.core.dreaming import Tokens
from freehold.core.ids import is_id
from freehold.errors import Conflict, InvalidRequest, NotFound, NotSupported
from freehold.ports.clock import Clock
from freehold.ports.sandbox import SandboxProvider
from freehold.store import dreams, memory_changes
from freehold.store.dreams import DreamRow, Filter
from freehold.store.keyset import Span
from freehold.store.units import ReadSession, WriteSession

LIST = "dreams"


async def create(
    tx: WriteSession,
    workspace_id: str,
    params: DreamCreateParams,
    *,
    clock: Clock,
    sandboxes: SandboxProvider,
) -> DreamRow:
    """Keep a new dream; a server starts it once this is committed.

    Raises:
        NotFound: a session or the memory store is not there.
        InvalidRequest: the store is archived, or a session is named twice.
        Conflict: another dream writes into the store.
        NotSupported: the sandboxes here cannot be given what a dream reads.
    """
    if (reason := sandboxes.unfurnishable()) is not None:
        raise NotSupported(f"inputs: cannot be put into a sandbox here: {reason}")
    in_place = isinstance(params.output_behavior, UpdateExistingParams)
    # Held, so that of two dreams that want to write into it one finds the other.
    store = await memory_changes.lock(
        tx, workspace_id, params.store.memory_store_id, open_only=False
    )
    if store.archived_at is not None:
        raise InvalidRequest(f"Memory store {store.id} is archived.")
    session_ids = [session_service.normalise(session_id) for session_id in params.session_ids]
    for place, session_id in enumerate(session_ids):
        if session_id in session_ids[:place]:
            raise InvalidRequest(f"inputs: duplicate session id {session_id[:200]}")
        await session_service.find(tx, workspace_id, session_id)
    if in_place and (other := await dreams.held(tx, workspace_id, store.id)) is not None:
        raise Conflict(
            f"Memory store {store.id} is being updated by the dream {other}. Wait until it has "
            "ended, or cancel it.",
            should_retry=False,
        )
    dream = DreamRow(
        id=clock.mint("drm"),
        workspace_id=workspace_id,
        status="pending",
        memory_store_id=store.id,
        session_ids=tuple(sorted(session_ids)),
        model=params.model.model_dump(exclude_none=True),
        instructions=params.instructions,
        update_existing=in_place,
        output_store_id=None,
        session_id=None,
        usage=Tokens(),
        error=None,
        active=True,
        created_at=clock.now(),
        started_at=None,
        ended_at=None,
        archived_at=None,
    )
    await dreams.insert(tx, dream)
    return dream


async def find(
    session: ReadSession, workspace_id: str, dream_id: str, *, for_update: bool = False
) -> DreamRow:
    """A dream.

    Raises:
        NotFound: no such dream; what is no id is not there either (spec 1.4).
    """
    dream = None
    if is_id("drm", dream_id):
        dream = await dreams.get(session, workspace_id, dream_id, for_update=for_update)
    if dream is None:
        raise NotFound(f"Dream {dream_id[:200]} not found.")
    return dream


async def listed(
    session: ReadSession, workspace_id: str, query: DreamListQuery
) -> tuple[Sequence[DreamRow], str | None]:
    """A page of dreams and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    rows = await dreams.page(
        session,
        workspace_id,
        Filter(
            statuses=query.statuses,
            include_archived=query.include_archived,
            within=Span(gt=query.created_at_gt, lt=query.created_at_lt),
        ),
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
    )
    return pages.forward(rows, query.limit, LIST)


async def cancel(
    tx: WriteSession, workspace_id: str, dream_id: str, *, intake: Intake, clock: Clock
) -> DreamRow:
    """Stop a dream; a second time changes nothing. What it wrote stays written.

    Raises:
        NotFound: no such dream. InvalidRequest: it is completed or failed.
    """
    dream = await find(tx, workspace_id, dream_id, for_update=True)
    if dream.status == "canceled":
        return dream
    if dream.status not in ("pending", "running"):
        raise InvalidRequest(
            f'Dream {dream.id} cannot be canceled while its status is "{dream.status}". Only '
            "pending or running dreams may be canceled."
        )
    dream = replace(dream, status="canceled", ended_at=clock.now())
    dream = await ending.wind_down(tx, dream, intake, clock)
    await dreams.update(tx, dream)
    return dream


async def archive(tx: WriteSession, workspace_id: str, dream_id: str, clock: Clock) -> DreamRow:
    """Hide a dream that is over; a second time changes nothing.

    Raises:
        NotFound: no such dream. InvalidRequest: it is not over.
    """
    dream = await find(tx, workspace_id, dream_id, for_update=True)
    if dream.archived_at is not None:
        return dream
    if dream.status in ("pending", "running"):
        raise InvalidRequest(
            f'Dream {dream.id} cannot be archived while its status is "{dream.status}". Cancel it '
            "first."
        )
    dream = replace(dream, archived_at=clock.now())
    await dreams.update(tx, dream)
    return dream


async def shown(session: ReadSession, workspace_id: str, rows: Sequence[DreamRow]) -> list[Dream]:
    """The dreams as the API shows them, with what they have used so far."""
    return [_shown(row) for row in await ending.as_of_now(session, workspace_id, rows)]


def _shown(row: DreamRow) -> Dream:
    output = row.output_store_id
    return Dream.model_validate(
        {
            "id": row.id,
            "type": "dream",
            "status": row.status,
            "inputs": [
                {"type": "memory_store", "memory_store_id": row.memory_store_id},
                {"type": "sessions", "session_ids": list(row.session_ids)},
            ],
            "outputs": []
            if output is None
            else [{"type": "memory_store", "memory_store_id": output}],
            "model": DreamModel(**row.model),
            "instructions": row.instructions,
            "output_behavior": {
                "type": "update_existing",
                "memory_store_id": row.memory_store_id,
            }
            if row.update_existing
            else {"type": "create_new"},
            "session_id": row.session_id,
            "usage": row.usage._asdict(),
            "error": None if row.error is None else row.error._asdict(),
            "created_at": row.created_at,
            "ended_at": row.ended_at,
            "archived_at": row.archived_at,
        }
    )
