"""Carries dreams on: started, watched, ended (spec 18).

Each step is one transaction under a lock on the dream, decided anew inside of it. So with several
servers each step is taken once, and one that dies on the way leaves everything as it was before
the step, for the others or for its next start.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from freehold.api.deps import ApiServices
from freehold.api.dreams import ending, material
from freehold.api.dreams.material import Transcript
from freehold.api.memory_stores.schemas import MemoryStoreResourceParams
from freehold.api.session_resources.attaching import Owner, Workshop, attach
from freehold.api.sessions import service as session_service
from freehold.core import dreaming
from freehold.core.dreaming import Failure, Seen, Verdict
from freehold.core.events import UserMessage
from freehold.errors import ApiError, BlobsUnavailable
from freehold.ports.dispatcher import Subscription
from freehold.ports.log import SessionSpec
from freehold.ports.memory import Actor
from freehold.store import (
    dreams,
    memories,
    memory_changes,
    memory_stores,
    outbox,
    session_resources,
    sessions,
)
from freehold.store.dreams import DreamRow
from freehold.store.memory_stores import MemoryStoreRow
from freehold.store.session_resources import ResourceRow
from freehold.store.sessions import SessionRow
from freehold.store.units import ReadSession, WriteSession

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at a session that another server runs."""

AT_ONCE = 4
"""Dreams that a server starts at the same time; transcripts are read and written for each."""

_TROUBLES = (BlobsUnavailable, OSError, sa.exc.OperationalError, sa.exc.InterfaceError)
"""What may be over by the next try."""


class _Failed(Exception):
    """The dream cannot be started; what was written of it is taken back."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Overtaken(Exception):
    """Somebody else started or canceled it; what was prepared is taken back."""


@dataclass(frozen=True)
class Pipeline:
    """Carries dreams on out of a server's services."""

    services: ApiServices
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def carry(self, dream_id: str) -> None:
        """Do what there is to do for a dream until it is over and its session archived."""
        listener: Subscription | None = None
        seen = 0
        try:
            while (dream := await self._read(dream_id)) is not None:
                if dream.status == "pending":
                    async with self._places:
                        await self.start(dream)
                    continue
                if listener is None and dream.session_id is not None:
                    listener = self.services.fanout.subscribe(dream.session_id)
                    continue  # to be looked at with the listener there
                if not await self.advance(dream) and listener is not None:
                    seen = await listener.wait(seen, TICK)
        finally:
            if listener is not None:
                listener.close()

    async def _read(self, dream_id: str) -> DreamRow | None:
        async with self.services.database.read() as session:
            return await dreams.take(session, dream_id)

    # Starting.

    async def start(self, dream: DreamRow) -> None:
        """Begin the session of a pending dream, or say why it cannot be."""
        try:
            await self._try_to_start(dream)
        except _Overtaken:
            return
        except _Failed as error:
            await self._fail(dream.id, error.failure)
        except ApiError as error:
            await self._fail(dream.id, dreaming.broken(error.message))
        except _TROUBLES:
            # Whoever looks next tries again.
            if self._overdue(dream.created_at):
                await self._fail(dream.id, dreaming.timed_out(self._limit))
            raise
        except Exception:
            log.exception("the dream %s could not be started", dream.id)
            await self._fail(dream.id, dreaming.broken("The dream could not be started."))

    async def _try_to_start(self, dream: DreamRow) -> None:
        behind = self.services
        async with behind.database.read() as session:
            await self._store(session, dream)
            read = await self._sessions(session, dream)
        async with AsyncExitStack() as stack:
            transcripts = [
                Transcript(
                    row.id,
                    await stack.enter_async_context(
                        behind.files.staged(material.transcript(behind.database, row))
                    ),
                )
                for row in read
            ]
            async with behind.database.write() as tx:
                now = await dreams.take(tx, dream.id, for_update=True)
                if now is None or now.status != "pending":
                    raise _Overtaken
                store = await self._store(tx, now)
                # One that went while it was read may have been read in part.
                await self._sessions(tx, now)
                await self._begin(tx, now, store, transcripts)

    async def _store(self, session: ReadSession, dream: DreamRow) -> MemoryStoreRow:
        store = await memory_stores.get(session, dream.workspace_id, dream.memory_store_id)
        if store is None or store.archived_at is not None:
            raise _Failed(dreaming.store_unavailable(dream.memory_store_id))
        most = self.services.settings.dream_memory_max_mb << 20
        if (size := await memories.size(session, store.id)) > most:
            raise _Failed(dreaming.store_too_large(store.id, size, most))
        return store

    async def _sessions(self, session: ReadSession, dream: DreamRow) -> list[SessionRow]:
        found = []
        for session_id in dream.session_ids:
            row = await sessions.get(session, dream.workspace_id, session_id)
            if row is None:
                raise _Failed(dreaming.session_unavailable(session_id))
            found.append(row)
        return found

    async def _begin(
        self,
        tx: WriteSession,
        dream: DreamRow,
        store: MemoryStoreRow,
        transcripts: list[Transcript],
    ) -> None:
        behind = self.services
        now = behind.clock.now()
        environment_id, environment = material.environment(dream, behind.sandboxes)
        spec = SessionSpec(
            session_id=behind.clock.mint("sesn"),
            workspace_id=dream.workspace_id,
            primary_thread_id=behind.clock.mint("sthr"),
            agent=material.agent(dream),
            environment_id=environment_id,
            environment=environment,
            created_at=now,
        )
        output = store
        if not dream.update_existing:
            output = await self._copied(tx, store, spec.session_id, now)
        await session_service.insert(
            tx, spec, intake=behind.intake, title=f"Dream {dream.id}", metadata={}
        )
        mount_path = await self._give(tx, spec, output, transcripts)
        told = dreaming.assignment(mount_path, material.in_order(transcripts), dream.instructions)
        message = UserMessage(content=[{"type": "text", "text": told}])
        await behind.intake.begin(tx, spec, [message])
        running = replace(
            dream,
            status="running",
            session_id=spec.session_id,
            output_store_id=output.id,
            started_at=now,
        )
        await dreams.update(tx, running)

    async def _copied(
        self, tx: WriteSession, store: MemoryStoreRow, session_id: str, now: datetime
    ) -> MemoryStoreRow:
        """A new store with the memories of another.

        It is named alike, so that a session that is given it in the other's place has it at the
        same path.
        """
        made = replace(
            store, id=self.services.clock.mint("memstore"), created_at=now, updated_at=now
        )
        await memory_stores.insert(tx, made)
        await outbox.tell(tx, made.workspace_id, "memory_store.created", made.id, now)
        actor = Actor("session_actor", session_id)
        await memory_changes.copy(tx, store, made, actor, self.services.clock)
        return made

    async def _give(
        self,
        tx: WriteSession,
        spec: SessionSpec,
        store: MemoryStoreRow,
        transcripts: list[Transcript],
    ) -> str:
        """Give the session its resources; where the memory store is mounted."""
        behind = self.services
        owner = Owner(
            spec.workspace_id, spec.session_id, spec.agent, spec.environment_id, spec.environment
        )
        wanted = MemoryStoreResourceParams(
            type="memory_store", memory_store_id=store.id, access="read_write"
        )
        workshop = Workshop(behind.files, behind.sealer, behind.clock)
        (mounted,) = await attach(tx, owner, [wanted], workshop)
        now = behind.clock.now()
        rows = []
        for position, one in enumerate(transcripts, start=mounted.position + 1):
            path = dreaming.transcript_path(one.session_id)
            file = await behind.files.add(
                tx,
                one.staged,
                workspace_id=spec.workspace_id,
                filename=path.rsplit("/", 1)[-1],
                mime_type="text/markdown",
                downloadable=False,
                scope_id=spec.session_id,
            )
            rows.append(
                ResourceRow(
                    id=behind.clock.mint("sesrsc"),
                    session_id=spec.session_id,
                    workspace_id=spec.workspace_id,
                    position=position,
                    type="file",
                    body={"type": "file", "file_id": file.id, "mount_path": path},
                    secret=None,
                    created_at=now,
                    updated_at=now,
                )
            )
        await session_resources.insert(tx, rows)
        return str(mounted.body["mount_path"])

    async def _fail(self, dream_id: str, failure: Failure) -> None:
        """End a dream that has not begun."""
        async with self.services.database.write() as tx:
            dream = await dreams.take(tx, dream_id, for_update=True)
            if dream is not None and dream.status == "pending":
                await self._end(tx, dream, Verdict(failure))

    # Watching and ending.

    async def advance(self, dream: DreamRow) -> bool:
        """Take the next step if there is one; whether there was."""
        async with self.services.database.read() as session:
            if not await self._due(session, dream):
                return False
        async with self.services.database.write() as tx:
            now = await dreams.take(tx, dream.id, for_update=True)
            if now is None:
                return True
            if now.status == "running":
                verdict = await self._verdict(tx, now)
                if verdict is not None:
                    await self._end(tx, now, verdict)
                return True
            ended = await ending.wind_down(tx, now, self.services.intake, self.services.clock)
            await dreams.update(tx, ended)
        return True

    async def _due(self, session: ReadSession, dream: DreamRow) -> bool:
        if dream.status == "running":
            return await self._verdict(session, dream) is not None
        if dream.session_id is None:
            return True
        state = await sessions.state(session, dream.workspace_id, dream.session_id)
        # One that was interrupted comes to rest by itself.
        return state is None or state.status in ("idle", "terminated") or not state.interrupted

    async def _verdict(self, session: ReadSession, dream: DreamRow) -> Verdict | None:
        output, session_id = dream.output_store_id or "", dream.session_id or ""
        store = await memory_stores.get(session, dream.workspace_id, output)
        state = await sessions.state(session, dream.workspace_id, session_id)
        interrupted, trouble = False, None
        if state is not None and dreaming.at_rest(state):
            interrupted = await sessions.has_event(session, session_id, "user.interrupt")
            trouble = await sessions.last_error(session, session_id)
        return dreaming.judge(
            Seen(
                session=state,
                interrupted=interrupted,
                trouble=trouble,
                store_open=store is not None and store.archived_at is None,
                overdue=self._overdue(dream.started_at or dream.created_at),
            ),
            output=output,
            in_place=dream.update_existing,
            limit=self._limit,
        )

    async def _end(self, tx: WriteSession, dream: DreamRow, verdict: Verdict) -> None:
        if dream.session_id is not None:
            states = await sessions.states(tx, dream.workspace_id, [dream.session_id])
            if (state := states.get(dream.session_id)) is not None:
                dream = replace(dream, usage=dreaming.tokens(state.usage))
        ended = replace(
            dream,
            status="completed" if verdict.failure is None else "failed",
            error=verdict.failure,
            ended_at=self.services.clock.now(),
        )
        await dreams.update(
            tx, await ending.wind_down(tx, ended, self.services.intake, self.services.clock)
        )

    @property
    def _limit(self) -> timedelta:
        return timedelta(seconds=self.services.settings.dream_timeout)

    def _overdue(self, since: datetime) -> bool:
        return self.services.clock.now() - since > self._limit
