"""Reading and sending session events (spec 6). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from freehold.api import pages
from freehold.api.deps import Intake
from freehold.api.events import attachments
from freehold.api.events.schemas import EventListQuery, EventSendParams, client_events
from freehold.api.sessions.service import missing, normalise
from freehold.core import cursors
from freehold.core.cursors import Cursor
from freehold.core.events import Json, wire
from freehold.core.state import PendingInput
from freehold.errors import InvalidRequest
from freehold.ports.clock import Clock
from freehold.store import sessions
from freehold.store.event_log import EventReader, PublicEvent
from freehold.store.keyset import Span
from freehold.store.units import ReadSession, WriteSession

LIST = "session_events"
_BEYOND = 2**62
"""A place after every event of any log."""


async def send(
    tx: WriteSession,
    workspace_id: str,
    session_id: str,
    params: EventSendParams,
    *,
    intake: Intake,
    clock: Clock,
    from_worker: bool = False,
) -> list[Json]:
    """Take a client's events, or a worker's; their echoes.

    Raises:
        NotFound: no such session, or no such file. InvalidRequest, NotSupported,
            PermissionDenied: an event does not fit, and none of them was taken.
    """
    session_id = normalise(session_id)
    if await sessions.head(tx, workspace_id, session_id) is None:
        raise missing(session_id)
    events = client_events(params.events, clock)
    await attachments.check(tx, workspace_id, events, "events", clock)
    return await intake.send(tx, session_id, events, from_worker=from_worker)


@dataclass(frozen=True)
class _Place:
    """Where a page begins: beside the event ``seq`` of the log, and beside a waiting one."""

    seq: int | None
    waiting: str


@dataclass(frozen=True)
class _Listing:
    """One page's question."""

    session: ReadSession
    reader: EventReader
    session_id: str
    query: EventListQuery
    place: _Place
    waiting: list[PendingInput]

    async def rows(
        self, limit: int, *, after: int | None = None, before: int | None = None
    ) -> list[PublicEvent]:
        """Events of the log that match, in the order asked for."""
        return await self.reader.page(
            self.session,
            self.session_id,
            after_seq=after,
            before_seq=before,
            descending=self.query.order == "desc",
            limit=limit,
            types=self.query.types or None,
            processed=Span(
                gt=self.query.created_at_gt,
                gte=self.query.created_at_gte,
                lt=self.query.created_at_lt,
                lte=self.query.created_at_lte,
            ),
        )

    async def ascending(self) -> tuple[list[bytes], _Place | None]:
        """The log, then what waits."""
        limit = self.query.limit
        rows = await self.rows(limit + 1, after=self.place.seq)
        if len(rows) > limit:
            return [row.body for row in rows[:limit]], _Place(rows[limit - 1].seq, "")
        last = rows[-1].seq if rows else self.place.seq
        rest = _after(self.waiting, self.place.waiting)
        room = limit - len(rows)
        data = [row.body for row in rows] + [_body(item) for item in rest[:room]]
        if len(rest) <= room:
            return data, None
        return data, _Place(last, rest[room - 1].id if room else self.place.waiting)

    async def descending(self) -> tuple[list[bytes], _Place | None]:
        """What waits, the latest first, then the log backwards."""
        limit = self.query.limit
        rest: list[PendingInput] = []
        if self.place.seq is None or self.place.seq == _BEYOND:
            rest = _after(self.waiting[::-1], self.place.waiting)
        shown = rest[:limit]
        data = [_body(item) for item in shown]
        if len(rest) > limit:
            return data, _Place(_BEYOND, shown[-1].id)
        room = limit - len(shown)
        rows = await self.rows(room + 1, before=self.place.seq)
        data += [row.body for row in rows[:room]]
        if len(rows) <= room:
            return data, None
        return data, _Place(rows[room - 1].seq, "") if room else _Place(_BEYOND, shown[-1].id)


async def listed(
    session: ReadSession,
    reader: EventReader,
    workspace_id: str,
    session_id: str,
    query: EventListQuery,
) -> tuple[list[bytes], str | None]:
    """A page of events as JSON, and the cursor of the next.

    Events that wait for the agent have no ``processed_at`` and come last (spec 6.4), so they come
    first in descending order.

    Raises:
        NotFound: no such session. InvalidRequest: the cursor is another list's.
    """
    session_id = normalise(session_id)
    state = await sessions.state(session, workspace_id, session_id)
    if state is None:
        raise missing(session_id)
    place = _place(query, session_id)
    waiting = _waiting(state.inputs, query)
    listing = _Listing(session, reader, session_id, query, place, waiting)
    data, following = await (listing.ascending() if query.order == "asc" else listing.descending())
    if following is None:
        return data, None
    key = (following.seq or 0, following.waiting, session_id)
    return data, cursors.encode(Cursor(LIST, query.order, "next", key))


def _place(query: EventListQuery, session_id: str) -> _Place:
    cursor = pages.decode(query.page, LIST, query.order)
    if cursor is None:
        return _Place(None, "")
    match cursor.key:
        case (int(seq), str(waiting), str(owner)) if owner == session_id:
            return _Place(seq, waiting)
    raise InvalidRequest(pages.INVALID)


def _waiting(inputs: Sequence[PendingInput], query: EventListQuery) -> list[PendingInput]:
    moments = (query.created_at_gt, query.created_at_gte, query.created_at_lt, query.created_at_lte)
    if any(moment is not None for moment in moments):
        return []  # the filters compare with `processed_at`, which these do not have
    return [item for item in inputs if not query.types or item.event.type in query.types]


def _after(waiting: list[PendingInput], last: str) -> list[PendingInput]:
    """Those behind the one a page ended with; all, if that one has been taken up meanwhile."""
    for index, item in enumerate(waiting):
        if item.id == last:
            return waiting[index + 1 :]
    return waiting


def _body(item: PendingInput) -> bytes:
    return orjson.dumps(wire(item.id, item.event, None))


async def stream_start(
    session: ReadSession,
    reader: EventReader,
    workspace_id: str,
    session_id: str,
    last_event_id: str | None,
) -> int:
    """The ``seq`` after which a stream begins: now, or where the client stopped.

    Raises:
        NotFound: no such session. InvalidRequest: ``Last-Event-ID`` is none of its events.
    """
    head = await sessions.head(session, workspace_id, session_id)
    if head is None:
        raise missing(session_id)
    if last_event_id is None or last_event_id == "":
        return head
    seq: int | None = None
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= 18:
        seq = int(last_event_id)
    elif last_event_id.startswith("sevt_"):
        seq = await reader.seq_of(session, session_id, last_event_id[:64])
    if seq is None or seq > head:
        raise InvalidRequest("Last-Event-ID: not an event of this session")
    return seq
