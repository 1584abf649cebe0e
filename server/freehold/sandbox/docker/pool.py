"""Containers that are started before a session asks, so that its first call need not wait.

A container of the pool is made like any other, runs its toolbox and nothing else, and is used by
one session at most. Its new name is what makes it that session's, for this server and for those
that come after it; until then it has a name of the pool, and whoever finds it there and did not
make it may remove it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from docker import DockerClient
from docker.errors import APIError, DockerException

from freehold.errors import FreeholdError, SandboxError
from freehold.sandbox.docker.container import remove
from freehold.sandbox.docker.engine import is_conflict
from freehold.sandbox.docker.names import LABEL_POOL, container_name, named_after, pool_name
from freehold.sandbox.docker.opening import DockerSandbox, Opener

log = logging.getLogger(__name__)

QUIET = 0.5
"""Seconds without a new sandbox before the next one is made: a session's first call goes first."""
LONGEST_QUIET = 5.0
"""Seconds after which a pool that is short is filled, however many sessions begin."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts that fail: doubled each time."""
PING_TIMEOUT = 2.0
"""Seconds for a sign of life; making another container takes less."""
_OWN = re.compile(r"pool-[0-9a-f]+|\b[0-9a-f]{12,64}\b|\b0x[0-9a-f]+\b")
"""What differs in an error's text from attempt to attempt: names, ids, addresses of objects."""

Verdict = Literal["taken", "useless", "not needed"]


@dataclass(frozen=True)
class _Warm:
    name: str
    sandbox: DockerSandbox


class Pool:
    """Keeps ``size`` containers ready.

    Args:
        opener: makes them.
        size: how many; 0 makes a pool that does nothing.
    """

    def __init__(self, opener: Opener, size: int) -> None:
        self._opener = opener
        self._size = size
        self._names: set[str] = set()
        self._ready: deque[_Warm] = deque()
        self._opening = 0
        self._last = -math.inf
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None
        self._removing: set[asyncio.Task[None]] = set()

    def __contains__(self, name: object) -> bool:
        """Whether a container of this name is this pool's: in the making, or waiting."""
        return name in self._names

    @property
    def ready(self) -> int:
        """How many containers wait for a session."""
        return len(self._ready)

    def start(self) -> None:
        """Begin to fill the pool, and keep it full until :meth:`close`. Returns at once."""
        if self._size and self._filling is None and not self._closing.is_set():
            self._filling = asyncio.create_task(self._fill(), name="sandbox pool")

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """While a session gets a sandbox, and for a while after: leave the machine to it."""
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1
            self._last = time.monotonic()

    async def take(self, session_id: str) -> DockerSandbox | None:
        """A container that is the session's from now on.

        ``None``: the pool has none, or the session has one already, or no name can hold its id.
        """
        if not named_after(session_id):
            return None
        while self._ready and not self._closing.is_set():
            warm = self._ready.popleft()
            verdict = await self._hand_over(warm, session_id)
            if verdict == "not needed":
                # Nothing has run in it: still as good as new.
                self._ready.appendleft(warm)
                return None
            self._names.discard(warm.name)
            self._changed.set()
            if verdict == "taken":
                return warm.sandbox
            self._throw_away(warm)
        return None

    async def close(self) -> None:
        """Stop filling, and remove the containers that no session took."""
        self._closing.set()
        self._changed.set()
        if self._filling is not None:
            # Not cancelled: the engine would finish what it is making, and nobody remove it.
            await asyncio.wait({self._filling})
        while self._ready:
            self._throw_away(self._ready.popleft())
        if self._removing:
            await asyncio.wait(self._removing)

    async def _hand_over(self, warm: _Warm, session_id: str) -> Verdict:
        """Make the container the session's, unless it has ended or the session has another."""
        if not warm.sandbox.connected:
            return "useless"
        recipe = self._opener.recipe()
        name = container_name(recipe.owner, session_id)

        def rename(client: DockerClient) -> Verdict:
            # The image may have been built anew since.
            if client.images.get(recipe.image).id != warm.sandbox.image:
                return "useless"
            client.api.rename(warm.sandbox.container, name)
            return "taken"

        try:
            async with asyncio.timeout(PING_TIMEOUT):
                await warm.sandbox.ping()
            return await self._opener.engine.run(rename)
        except (SandboxError, DockerException, OSError) as error:
            # The name is taken: the session's own container is there, and counts.
            taken = isinstance(error, APIError) and is_conflict(error)
            return "not needed" if taken else "useless"

    async def _fill(self) -> None:
        pause = FIRST_PAUSE
        told: set[str] = set()
        while not self._closing.is_set():
            if len(self._names) >= self._size:
                self._changed.clear()
                await self._changed.wait()
                continue
            await self._quiet()
            if self._closing.is_set():
                return
            try:
                await self._add()
            except (FreeholdError, DockerException, OSError) as error:
                # Each reason once: the first failure need not be what keeps it from working.
                reason = _OWN.sub("", str(error))
                level = logging.DEBUG if reason in told else logging.WARNING
                told.add(reason)
                log.log(level, "no sandbox can be made ahead of the sessions: %s", error)
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE
                told.clear()

    async def _add(self) -> None:
        name = pool_name(self._opener.recipe().owner)
        self._names.add(name)
        try:
            sandbox = await self._opener.open(name, {LABEL_POOL: "1"})
        except BaseException:
            # It may have been made and have failed only then.
            with contextlib.suppress(SandboxError, DockerException):
                await self._opener.engine.run(lambda client: remove(client, name))
            self._names.discard(name)
            raise
        self._ready.append(_Warm(name, sandbox))

    async def _quiet(self) -> None:
        """Wait until no session has got a sandbox for a moment, within reason."""
        latest = time.monotonic() + LONGEST_QUIET
        while not self._closing.is_set():
            now = time.monotonic()
            quiet_at = now + QUIET if self._opening else self._last + QUIET
            rest = min(quiet_at, latest) - now
            if rest <= 0:
                return
            await self._sleep(rest)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def _throw_away(self, warm: _Warm) -> None:
        task = asyncio.create_task(self._remove(warm), name=f"remove {warm.name}")
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    async def _remove(self, warm: _Warm) -> None:
        await warm.sandbox.close()
        await self._opener.release(warm.sandbox)
        try:
            # By its name in the pool: were it a session's after all, nothing would happen.
            await self._opener.engine.run(lambda client: remove(client, warm.name))
        except (SandboxError, DockerException) as error:
            log.debug("%s is left to the next start: %s", warm.name, error)
        self._names.discard(warm.name)
