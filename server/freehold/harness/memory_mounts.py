"""Memory stores in the sandboxes of sessions: filled, kept in step, written back (spec 15, 22.1).

Around each tool call that could have written, and at the end of a turn, what the agent changed goes
to the store as versions of the session's; before each call what others changed comes in. So several
sessions share a store while they all run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from freehold.core.events import Content
from freehold.core.memory_mounts import ROOT, MountedStore, prompt_block
from freehold.errors import SandboxError, SandboxLost
from freehold.harness import memory_notes
from freehold.harness.memory_copy import AnyCopy, ReadOnlyCopy, Site, WritableCopy
from freehold.ports.log import SessionSpec
from freehold.ports.memory import Copy, Mark, MemoryCopies, MemoryFiles
from freehold.ports.sandbox import Root, Sandbox

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that bringing a sandbox and its stores together may take; the rest is for the next
time."""
WRITING_TOOLS = frozenset({"bash", "write", "edit"})
"""The others change nothing, so nobody looks for changes after them."""

_REMEMBERED = 512


class AroundCalls(Protocol):
    """What is done in a sandbox beside the calls that run in it."""

    async def before(self, spec: SessionSpec, sandbox: Sandbox) -> None:
        """A call is about to begin.

        Raises:
            SandboxLost: the sandbox is gone.
        """
        ...

    async def after(self, spec: SessionSpec, sandbox: Sandbox, tool: str) -> Content:
        """A call has ended: what its result has to say besides.

        Raises:
            SandboxLost: the sandbox is gone.
        """
        ...

    async def settle(self, spec: SessionSpec, sandbox: Sandbox) -> None:
        """A turn is about to end. What fails is logged."""
        ...

    def forget(self, session_id: str) -> None:
        """The session's sandbox is gone, or the session is over."""
        ...


@dataclass
class _Open:
    """The copies in one sandbox, as far as this process knows them."""

    sandbox_id: str
    copies: list[AnyCopy]
    marks: Mapping[str, Mark] = field(default_factory=dict)


class MemoryMounts:
    """A furnisher (:class:`freehold.ports.furnishing.Furnisher`), and :class:`AroundCalls`.

    What it remembers can be had again: from the database and from the sandbox itself.
    """

    def __init__(
        self, files: MemoryFiles, copies: MemoryCopies, *, patience: float = PATIENCE
    ) -> None:
        self._files = files
        self._copies = copies
        self._patience = patience
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._notes: dict[str, list[str]] = {}

    async def roots(self, spec: SessionSpec) -> Sequence[Root]:
        """The folder that holds the mounts, the server's, and in it the writable ones."""
        stores = mounted(spec)
        if not stores:
            return ()
        writable = [store.mount_path for store in stores if store.access == "read_write"]
        return [Root(ROOT), *(Root(path, writable=True) for path in writable)]

    async def describe(self, spec: SessionSpec) -> str | None:
        """The prompt's memory block (spec 15.3)."""
        return prompt_block(mounted(spec))

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool) -> None:
        """Fill the mounts of a fresh sandbox; bring another one into step."""
        stores = mounted(spec)
        if not stores:
            return
        known = self._open.pop(spec.session_id, None)
        if fresh or known is None or known.sandbox_id != sandbox.identity:
            known = await self._opened(spec, sandbox, stores, fresh=fresh)
        self._keep(spec.session_id, known)

    async def before(self, spec: SessionSpec, sandbox: Sandbox) -> None:
        """Bring in what others changed. See the protocol."""
        if not (stores := mounted(spec)):
            return
        session_id = spec.session_id
        known = self._open.pop(session_id, None)
        try:
            async with asyncio.timeout(self._patience):
                if known is None or known.sandbox_id != sandbox.identity:
                    known = await self._opened(spec, sandbox, stores, fresh=False)
                await self._look(spec, known)
                for copy in known.copies:
                    mark = known.marks.get(copy.site.store_id)
                    if mark is not None and mark != copy.mark:
                        self._note(session_id, await copy.pull(sandbox))
        except SandboxLost:
            raise
        except (SandboxError, OSError, TimeoutError) as error:
            self._failed(session_id, stores, error)
        else:
            self._keep(session_id, known)

    async def after(self, spec: SessionSpec, sandbox: Sandbox, tool: str) -> Content:
        """Bring to the stores what the agent changed. See the protocol."""
        if not mounted(spec):
            return []
        if tool in WRITING_TOOLS:
            await self._push(spec, sandbox, settling=False)
        return memory_notes.block(self._notes.pop(spec.session_id, []))

    async def settle(self, spec: SessionSpec, sandbox: Sandbox) -> None:
        """The same, with a look at every file; what it has to say waits for the next call."""
        if not mounted(spec):
            return
        try:
            await self._push(spec, sandbox, settling=True)
        except SandboxLost as error:
            log.warning("memories of %s are not all stored: %s", spec.session_id, error)

    def forget(self, session_id: str) -> None:
        """See the protocol."""
        self._open.pop(session_id, None)
        self._notes.pop(session_id, None)

    async def _push(self, spec: SessionSpec, sandbox: Sandbox, *, settling: bool) -> None:
        session_id = spec.session_id
        known = self._open.pop(session_id, None)
        stores = [store for store in mounted(spec) if store.access == "read_write"]
        try:
            async with asyncio.timeout(self._patience):
                if known is None or known.sandbox_id != sandbox.identity:
                    known = await self._opened(spec, sandbox, mounted(spec), fresh=False)
                    await self._look(spec, known)
                elif settling:
                    await self._look(spec, known)
                for copy in known.copies:
                    if isinstance(copy, WritableCopy):
                        mark = known.marks.get(copy.site.store_id)
                        self._note(session_id, await copy.push(sandbox, mark, fresh=settling))
        except SandboxLost:
            raise
        except (SandboxError, OSError, TimeoutError) as error:
            self._failed(session_id, stores, error)
        else:
            self._keep(session_id, known)

    async def _opened(
        self,
        spec: SessionSpec,
        sandbox: Sandbox,
        stores: Sequence[MountedStore],
        *,
        fresh: bool,
    ) -> _Open:
        copies: list[AnyCopy] = []
        where = Copy(spec.session_id, sandbox.identity)
        for store in stores:
            site = Site(store, spec.workspace_id, where)
            if store.access == "read_write":
                writable = WritableCopy(site, self._files, self._copies)
                self._note(spec.session_id, await writable.open(sandbox, fresh=fresh))
                copies.append(writable)
            else:
                copy = ReadOnlyCopy(site, self._files)
                await copy.open(sandbox, fresh=fresh)
                copies.append(copy)
        known = _Open(sandbox.identity, copies)
        await self._look(spec, known)
        return known

    async def _look(self, spec: SessionSpec, known: _Open) -> None:
        ids = [copy.site.store_id for copy in known.copies]
        known.marks = await self._files.marks(spec.workspace_id, ids)

    def _keep(self, session_id: str, known: _Open) -> None:
        # Only what came to its end is remembered: after anything else it is looked at anew.
        self._open[session_id] = known
        if len(self._open) > _REMEMBERED:
            self._open.popitem(last=False)

    def _note(self, session_id: str, notes: Sequence[str]) -> None:
        if notes:
            self._notes.setdefault(session_id, []).extend(notes)

    def _failed(
        self, session_id: str, stores: Sequence[MountedStore], error: BaseException
    ) -> None:
        said = str(error) or type(error).__name__
        log.warning("memories of %s are not all in step: %s", session_id, said)
        self._note(session_id, [memory_notes.later(store) for store in stores])


def mounted(spec: SessionSpec) -> list[MountedStore]:
    """The session's memory stores, as they were when it was created."""
    return [
        MountedStore(
            memory_store_id=resource["memory_store_id"],
            name=resource["name"],
            description=resource["description"],
            access=resource["access"],
            instructions=resource.get("instructions"),
            mount_path=resource["mount_path"],
        )
        for resource in spec.resources
        if resource["type"] == "memory_store"
    ]
