"""What sessions' requests are given, gathered for whoever enforces it, and kept up to date."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from freehold.core.networking import mcp_hosts
from freehold.errors import SandboxError
from freehold.harness.sessions import SessionGone, SessionHandle
from freehold.ports.egress import Grants, GrantSource, SessionGrants
from freehold.ports.sandbox import SandboxProvider

log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds that a client waits at most until its change is enforced."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Egress:
    """Asks each source, and tells the provider when something has changed.

    Args:
        sources: What grants consist of.
        provider: Enforces them.
    """

    def __init__(self, sources: Sequence[GrantSource], provider: SandboxProvider) -> None:
        self._sources = tuple(sources)
        self._provider = provider
        self._vaults: dict[str, tuple[str, ...]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    async def of(self, handle: SessionHandle) -> SessionGrants | None:
        """What the session's sandbox asks; ``None`` where there is nobody to ask."""
        if not self._sources:
            return None
        self._vaults[handle.session_id] = (await handle.spec()).vault_ids

        async def grants() -> Grants:
            try:
                spec = await handle.spec()
            except SessionGone:
                return Grants()
            found = [await source.grants(spec) for source in self._sources]
            return Grants(
                variables=tuple(one for grant in found for one in grant.variables),
                injections=tuple(one for grant in found for one in grant.injections),
                mcp_hosts=mcp_hosts(spec.agent),
            )

        return grants

    async def vault_changed(self, vault_id: str) -> None:
        """A vault's credentials are others now. See :meth:`changed`."""
        await self.changed(*(one for one, vaults in self._vaults.items() if vault_id in vaults))

    async def changed(self, *session_ids: str) -> None:
        """What these sessions' requests are given has changed, and the change is committed.

        Returns when it is enforced, or after some seconds; it is tried until it succeeds. Never
        raises.
        """
        tasks = [
            asyncio.create_task(self._settle(one)) for one in session_ids if one in self._vaults
        ]
        for task in tasks:
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)

    def forget(self, session_id: str) -> None:
        """The session has no sandbox any more."""
        self._vaults.pop(session_id, None)

    async def close(self) -> None:
        """Try no longer."""
        tasks = list(self._settling)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _settle(self, session_id: str) -> None:
        pause = _FIRST_PAUSE
        while session_id in self._vaults:
            try:
                await self._provider.regrant(session_id)
            except SandboxError as error:
                log.warning("what %s is given has changed; not enforced: %s", session_id, error)
            except Exception:
                log.exception("what %s is given has changed; not enforced", session_id)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
