"""The log of events: what the harness asks of it, and what the API shows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import times
from freehold.core.events import Record
from freehold.core.state import SessionState
from freehold.ports.log import SessionSpec
from freehold.store import codec, session_resources
from freehold.store.database import Database, ReadSession, WriteSession
from freehold.store.keyset import EVER, Page, Span
from freehold.store.tables import (
    session_events,
    session_placeholders,
    session_repository_skills,
    session_skills,
    sessions,
    timers,
    work,
)

_E = session_events.c
_S = sessions.c

_OF_SESSION = _E.session_id == sa.bindparam("of_session")
_LIVING = (_S.id == sa.bindparam("of_session"), _S.deleted_at.is_(None))
_SPEC = sa.select(
    _S.id,
    _S.workspace_id,
    _S.primary_thread_id,
    _S.agent,
    _S.environment_id,
    _S.environment,
    _S.created_at,
    _S.budget,
    _S.vault_ids,
).where(*_LIVING)
_STATE = sa.select(_S.state).where(*_LIVING)
_HEAD = sa.select(_S.head_seq).where(_S.id == sa.bindparam("of_session"))
_RECORDS = (
    sa.select(_E.seq, _E.id, _E.public, _E.origin, _E.processed_at, _E.body, _E.private)
    .where(_OF_SESSION, _E.seq > sa.bindparam("after"))
    .order_by(_E.seq)
    .limit(sa.bindparam("at_most"))
)
# Not ordered here: SQLite would then rather read the whole table in the order of its key.
_UNFINISHED = sa.select(_S.id).where(_S.needs_work, _S.deleted_at.is_(None))
_ALIVE = sa.select(_S.id).where(_S.archived_at.is_(None), _S.deleted_at.is_(None))

READ_CHUNK = 250
"""Records parsed without a pause, some milliseconds' worth."""

PURGE_CHUNK = 2_000
"""Events deleted in one transaction: a long log must not keep other writers waiting."""


class SqlEventLog:
    """The logs of all sessions, as the harness sees them (:class:`ports.log.EventLog`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[WriteSession]:
        """A unit of work; leaving the block commits, an exception rolls back."""
        return self._database.write()

    async def spec(self, session_id: str) -> SessionSpec | None:
        """What the session is made of; ``None`` if it does not exist or was deleted."""
        async with self._database.read() as session:
            row = await session.first(_SPEC, {"of_session": session_id})
            if row is None:
                return None
            resources = await session_resources.of_session(session, session_id)
        return SessionSpec(
            session_id=row["id"],
            workspace_id=row["workspace_id"],
            primary_thread_id=row["primary_thread_id"],
            agent=row["agent"],
            environment_id=row["environment_id"],
            environment=row["environment"],
            created_at=row["created_at"],
            budget=row["budget"],
            vault_ids=tuple(row["vault_ids"]),
            resources=tuple(session_resources.shown(resource) for resource in resources),
        )

    async def state(self, session_id: str) -> SessionState | None:
        """The committed fold; ``None`` if the session does not exist or was deleted."""
        async with self._database.read() as session:
            text = await session.scalar(_STATE, {"of_session": session_id})
        return None if text is None else codec.load_state(text)

    async def read(self, session_id: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """Records with ``seq > after`` in order, private ones included.

        All of one moment; other tasks get their turn while a long log is read.
        """
        found: list[Record] = []
        async with self._database.read() as session:
            while limit is None or len(found) < limit:
                count = READ_CHUNK if limit is None else min(READ_CHUNK, limit - len(found))
                rows = await session.all(
                    _RECORDS, {"of_session": session_id, "after": after, "at_most": count}
                )
                found += [codec.from_row(dict(row)) for row in rows]
                if len(rows) < count:
                    break
                after = found[-1].seq
                await asyncio.sleep(0)
        return found

    async def alive(self) -> set[str]:
        """Sessions that are neither archived nor deleted: those whose sandboxes are kept."""
        async with self._database.read() as session:
            return {row["id"] for row in await session.all(_ALIVE)}

    async def unfinished(self) -> list[str]:
        """Sessions whose state says that there is work to do; what a start-up sweep wakes."""
        async with self._database.read() as session:
            return sorted(row["id"] for row in await session.all(_UNFINISHED))

    async def purge_deleted(self, older_than: datetime) -> int:
        """Erase sessions that were deleted before ``older_than``; how many.

        Until then their logs stay, so that open streams can still tell ``session.deleted``.
        """
        async with self._database.read() as session:
            rows = await session.all(
                sa.select(_S.id, _S.head_seq).where(_S.deleted_at < older_than).order_by(_S.id)
            )
        for row in rows:
            for seq in range(PURGE_CHUNK, row["head_seq"] + PURGE_CHUNK, PURGE_CHUNK):
                async with self._database.write() as tx:
                    await tx.execute(
                        sa.delete(session_events).where(_E.session_id == row["id"], _E.seq <= seq)
                    )
            async with self._database.write() as tx:
                of_session = (
                    timers,
                    session_placeholders,
                    session_repository_skills,
                    session_skills,
                    work,
                )
                for table in of_session:
                    await tx.execute(sa.delete(table).where(table.c.session_id == row["id"]))
                await tx.execute(sa.delete(sessions).where(_S.id == row["id"]))
        return len(rows)


class PublicEvent(NamedTuple):
    """An event as clients get it: ``body`` is its JSON, made when it was written."""

    seq: int
    id: str
    type: str
    body: bytes


_PUBLIC = sa.select(_E.seq, _E.id, _E.type, _E.body).where(_OF_SESSION, _E.public)
_SINCE = (  # built once: every open stream asks this after every commit of its session
    _PUBLIC.where(_E.seq > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(_E.seq.asc())
    .limit(sa.bindparam("at_most", type_=sa.Integer))
)


# Times rise with `seq`, which has no gaps, so they need no index: the record is found by halving.
_HALVES = (
    sa.select(sa.literal(1, sa.BigInteger).label("low"), (_S.head_seq + 1).label("high"))
    .where(_S.id == sa.bindparam("of_session"))
    .cte("halves", recursive=True)
)
_MIDDLE = (_HALVES.c.low + _HALVES.c.high) // 2
_NOT_BEFORE = sa.type_coerce(_E.processed_at, sa.BigInteger) >= sa.bindparam(
    "micros", type_=sa.BigInteger
)
_HALVES = _HALVES.union_all(
    sa.select(
        sa.case((_NOT_BEFORE, _HALVES.c.low), else_=_E.seq + 1),
        sa.case((_NOT_BEFORE, _E.seq), else_=_HALVES.c.high),
    ).where(_HALVES.c.low < _HALVES.c.high, _OF_SESSION, _E.seq == _MIDDLE)
)
FIRST_AT = sa.select(_HALVES.c.low).where(_HALVES.c.low == _HALVES.c.high)
"""The ``seq`` of the first record of ``of_session`` that is not before ``micros``."""


class EventReader:
    """The public side of the logs: pages and streams, private records never among them.

    Order is that of ``seq``, which is also that of ``processed_at``. Deleted sessions can be
    read: whether a session may be shown is the caller's question.
    """

    async def page(
        self,
        session: ReadSession,
        session_id: str,
        *,
        after_seq: int | None = None,
        before_seq: int | None = None,
        descending: bool = False,
        types: Sequence[str] | None = None,
        processed: Span = EVER,
        limit: int,
    ) -> list[PublicEvent]:
        """At most ``limit`` events strictly between the two ``seq``; the newest first if asked.

        An empty ``types`` matches nothing.
        """
        if types is not None and not types:
            return []
        above = [] if after_seq is None else [after_seq]
        below = [] if before_seq is None else [before_seq]
        if processed.gt is not None:
            above.append(await self._first_at(session, session_id, processed.gt, later=True) - 1)
        if processed.gte is not None:
            above.append(await self._first_at(session, session_id, processed.gte) - 1)
        if processed.lt is not None:
            below.append(await self._first_at(session, session_id, processed.lt))
        if processed.lte is not None:
            below.append(await self._first_at(session, session_id, processed.lte, later=True))
        page = page_of(
            after_seq=max(above, default=None),
            before_seq=min(below, default=None),
            descending=descending,
            types=types,
            limit=limit,
        )
        return _public(await session.page(page, {"of_session": session_id}))

    async def _first_at(
        self, session: ReadSession, session_id: str, moment: datetime, *, later: bool = False
    ) -> int:
        """The ``seq`` of the first record that is not before ``moment``, or that is after it.

        Where there is none, it is the one that comes next.
        """
        micros = times.to_micros(moment) + (1 if later else 0)
        seq = await session.scalar(FIRST_AT, {"of_session": session_id, "micros": micros})
        return 0 if seq is None else int(seq)

    async def since(
        self, session: ReadSession, session_id: str, after_seq: int, limit: int
    ) -> list[PublicEvent]:
        """The next events of a stream, at most ``limit``.

        Fewer than ``limit`` means that there is no other up to the head that was known before
        the call; the stream's cursor may move to that head, past private records.
        """
        parameters = {"of_session": session_id, "after": after_seq, "at_most": limit}
        return _public(await session.all(_SINCE, parameters))

    async def latest_seq(self, session: ReadSession, session_id: str) -> int | None:
        """Where the log ends, private records counted; ``None`` if there is no such session."""
        head = await session.scalar(_HEAD, {"of_session": session_id})
        return None if head is None else int(head)

    async def seq_of(self, session: ReadSession, session_id: str, event_id: str) -> int | None:
        """Where a public event of this session stands; ``None`` if it is not there."""
        seq = await session.scalar(
            sa.select(_E.seq).where(_E.id == event_id, _E.session_id == session_id, _E.public)
        )
        return None if seq is None else int(seq)


def page_of(
    *,
    after_seq: int | None = None,
    before_seq: int | None = None,
    descending: bool = False,
    types: Sequence[str] | None = None,
    limit: int,
) -> Page:
    """The query of :meth:`EventReader.page`; ``of_session`` is its parameter."""
    statement = _PUBLIC
    if after_seq is not None:
        statement = statement.where(_E.seq > after_seq)
    if before_seq is not None:
        statement = statement.where(_E.seq < before_seq)
    shelves = [statement]
    if types is not None:
        shelves = [statement.where(_E.type == kind) for kind in dict.fromkeys(types)]
    return Page(shelves, (_E.seq,), descending, limit)


def _public(rows: Sequence[RowMapping]) -> list[PublicEvent]:
    return [PublicEvent(row["seq"], row["id"], row["type"], row["body"].encode()) for row in rows]
