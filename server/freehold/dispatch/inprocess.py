"""Waking sessions within one process.

What is woken lives in memory only. It may: a session that needs a runner says so in its own row,
and whoever serves next begins with those.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from functools import partial

import structlog

from freehold.ports.dispatcher import Handler
from freehold.ports.log import EventLog, Transaction

_log = structlog.get_logger(__name__)

RETRY_DELAYS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between runs of a session whose handler fails; the last one repeats."""


class InProcessDispatcher:
    """One task for each session that runs (:class:`ports.dispatcher.Dispatcher`)."""

    def __init__(self, log: EventLog, *, retry_delays: Sequence[float] = RETRY_DELAYS) -> None:
        self._log = log
        self._retry_delays = tuple(retry_delays)
        self._woken: dict[str, None] = {}  # a set that keeps the order of arrival
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._handler: Handler | None = None
        self._context = contextvars.Context()

    async def wake(self, session_id: str, tx: Transaction) -> None:
        """Have the handler run for this session once ``tx`` has committed.

        A wake during a run is not lost: the handler runs again after it.
        """
        tx.on_commit(partial(self._wake_now, session_id))

    async def serve(self, handler: Handler) -> None:
        """Run wake-ups until cancelled, after waking every unfinished session.

        A handler that raises is run again, later and later. When this is cancelled the running
        handlers are, and it returns once they have ended.

        Raises:
            RuntimeError: it is being served already.
        """
        if self._handler is not None:
            raise RuntimeError("the dispatcher is being served already")
        self._handler = handler
        # Not the context of the request that happens to wake a session: its log fields are
        # not the session's.
        self._context = contextvars.copy_context()
        try:
            for session_id in (*self._woken, *await self._log.unfinished()):
                self._wake_now(session_id)
            await asyncio.get_running_loop().create_future()
        finally:
            self._handler = None
            await self._stop()

    @property
    def running(self) -> int:
        """How many sessions have a handler at work, or waiting to be tried again."""
        return len(self._tasks)

    def _wake_now(self, session_id: str) -> None:
        self._woken[session_id] = None
        if self._handler is not None and session_id not in self._tasks:
            self._tasks[session_id] = asyncio.get_running_loop().create_task(
                self._run(session_id, self._handler),
                name=f"run {session_id}",
                context=self._context.copy(),
            )

    async def _run(self, session_id: str, handler: Handler) -> None:
        failures = 0
        try:
            while session_id in self._woken:
                del self._woken[session_id]
                if await self._succeeds(session_id, handler):
                    failures = 0
                    continue
                self._woken[session_id] = None
                await asyncio.sleep(self._retry_delays[min(failures, len(self._retry_delays) - 1)])
                failures += 1
        finally:
            # Nothing is awaited between the last look at `_woken` and here: no wake slips by.
            del self._tasks[session_id]

    async def _succeeds(self, session_id: str, handler: Handler) -> bool:
        try:
            await handler(session_id)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _log.exception("a run of a session cancelled itself", session_id=session_id)
            return False
        except Exception:
            _log.exception("a run of a session failed", session_id=session_id)
            return False
        return True

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._tasks.clear()  # one that was cancelled before it began could not remove itself
