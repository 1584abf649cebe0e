"""Who is at work in which sandbox, so that none is stopped under a call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Occupancy:
    """Any number of users at once, or one who wants to be alone."""

    def __init__(self) -> None:
        self._users: Counter[str] = Counter()
        self._alone: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def use(self, session_id: str) -> AsyncIterator[None]:
        """Within, nobody stops the session's sandbox; waits for one who is about to."""
        while (leaving := self._alone.get(session_id)) is not None:
            await leaving.wait()
        self._users[session_id] += 1
        try:
            yield
        finally:
            self._users[session_id] -= 1
            if not self._users[session_id]:
                del self._users[session_id]

    @asynccontextmanager
    async def alone(self, session_id: str) -> AsyncIterator[bool]:
        """Whether nobody uses the sandbox; if so, nobody begins to within."""
        if self._users[session_id] or session_id in self._alone:
            yield False
            return
        left = self._alone[session_id] = asyncio.Event()
        try:
            yield True
        finally:
            del self._alone[session_id]
            left.set()
