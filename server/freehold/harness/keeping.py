"""Keeps what is in sandboxes, and does not keep what nobody uses (spec 22.3).

Every sandbox that is there is looked at from time to time, whoever made it: so a server that
starts takes up what the one before it left to do.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from freehold.core.state import SessionState
from freehold.errors import ArchiveTooLarge, BlobsUnavailable, FreeholdError, SandboxError
from freehold.harness.sessions import SessionGone, Sessions
from freehold.harness.tools import Hands
from freehold.ports.checkpoints import Archived, Awake, Checkpoints, Resting
from freehold.ports.clock import Clock
from freehold.ports.log import EventLog

log = logging.getLogger(__name__)

LONGEST_PAUSE, SHORTEST_PAUSE = 60.0, 0.25
"""Seconds between two looks at all sandboxes: a quarter of the time until one is stopped."""
_AT_ONCE = 4


@dataclass(frozen=True)
class Rules:
    """What is kept for how long."""

    idle_stop: timedelta | None
    """How long after its last event a session's sandbox is stopped; ``None``: never."""
    keep: timedelta = timedelta(days=30)
    """How long after its creation a sandbox is removed."""
    every: timedelta = timedelta(seconds=60)
    """The least time between two checkpoints of a session."""
    largest: int = 1 << 30
    """Bytes of files that checkpoints are taken of; 0: none are taken."""


class Keeper:
    """Takes checkpoints, stops sandboxes that are idle, and removes those whose time is over."""

    def __init__(
        self,
        *,
        provider: Resting,
        hands: Hands,
        log: EventLog,
        sessions: Sessions,
        clock: Clock,
        checkpoints: Checkpoints,
        rules: Rules,
    ) -> None:
        self._provider = provider
        self._hands = hands
        self._log = log
        self._sessions = sessions
        self._clock = clock
        self._checkpoints = checkpoints
        self._rules = rules
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        """Whose turn ended while a checkpoint of the one before was being taken."""
        self._closing = asyncio.Event()

    def turn_ended(self, session_id: str) -> None:
        """Have a checkpoint taken, when it is time for one. Returns at once."""
        if not self._rules.largest or self._closing.is_set():
            return
        if session_id in self._taking:
            self._again.add(session_id)
            return
        task = asyncio.create_task(self._take_in_time(session_id), name=f"keep {session_id}")
        self._taking[session_id] = task
        task.add_done_callback(lambda _: self._taken(session_id))

    def _taken(self, session_id: str) -> None:
        self._taking.pop(session_id, None)
        if session_id in self._again:
            self._again.discard(session_id)
            self.turn_ended(session_id)

    async def run(self) -> None:
        """Look after all sandboxes until cancelled."""
        idle_stop = self._rules.idle_stop
        pause = LONGEST_PAUSE
        if idle_stop is not None:
            pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, idle_stop.total_seconds() / 4))
        while True:
            try:
                await self.look()
            except FreeholdError as error:
                log.warning("sandboxes cannot be looked after: %s", error)
            except Exception:
                log.exception("looking after sandboxes failed")
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Look at every sandbox once."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(awake: Awake) -> None:
            async with limit:
                try:
                    await self._look_at(awake)
                except SandboxError as error:
                    log.warning("the sandbox of %s: %s", awake.session_id, error)

        await asyncio.gather(*(one(awake) for awake in await self._provider.present()))

    async def close(self) -> None:
        """Take no more checkpoints; those put off are for the next server."""
        self._closing.set()
        tasks = list(self._taking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_at(self, awake: Awake) -> None:
        session_id = awake.session_id
        state = await self._log.state(session_id)
        if state is None or not _at_rest(state):
            return
        now = self._clock.now()
        if awake.created_at is not None and now - awake.created_at > self._rules.keep:
            await self._remove(session_id)
            return
        idle_stop = self._rules.idle_stop
        since = now - (state.last_at or state.created_at)
        if not awake.running or idle_stop is None or since < idle_stop:
            return
        await self._take(session_id)
        async with self._hands.alone(session_id) as free:
            state = await self._log.state(session_id)
            may = free and state is not None and _at_rest(state)
            if may and await self._provider.rest(session_id):
                log.info("stopped the idle sandbox of %s", session_id)

    async def _remove(self, session_id: str) -> None:
        async with self._hands.alone(session_id) as free:
            state = await self._log.state(session_id)
            if free and state is not None and _at_rest(state):
                log.info("the sandbox of %s is too old to be kept", session_id)
                await self._hands.discard(session_id)

    async def _take_in_time(self, session_id: str) -> None:
        try:
            last = await self._checkpoints.latest(session_id)
            if last is not None:
                left = last.created_at + self._rules.every - self._clock.now()
                await asyncio.sleep(max(0.0, left.total_seconds()))
            await self._take(session_id)
        except (FreeholdError, OSError) as error:
            log.warning("no checkpoint of %s: %s", session_id, error)

    async def _take(self, session_id: str) -> None:
        """Take a checkpoint, unless the newest one has all that calls have done."""
        if not self._rules.largest:
            return
        try:
            async with self._hands.using(session_id):
                handle = self._sessions.handle(session_id)
                state = await handle.state()
                last = await self._checkpoints.latest(session_id)
                if state.abandoned or state.sandbox_id is None:
                    return
                if last is not None and last.seq >= state.sandbox_used:
                    return
                sandbox = await self._hands.attach(handle)
                # Another one holds nothing that is not in the checkpoint.
                if sandbox.identity == state.sandbox_id and isinstance(sandbox, Archived):
                    chunks = sandbox.pack(self._rules.largest)
                    await self._checkpoints.keep(session_id, state.sandbox_used, chunks)
        except (SessionGone, LookupError):
            return
        except ArchiveTooLarge as error:
            log.warning(
                "no checkpoint of %s: its files are %s (FREEHOLD_CHECKPOINT_MAX_MB)",
                session_id,
                error,
            )
        except (SandboxError, BlobsUnavailable, OSError) as error:
            log.warning("no checkpoint of %s: %s", session_id, str(error) or type(error).__name__)


def _at_rest(state: SessionState) -> bool:
    return state.status != "running" and not state.needs_work
