"""One call of a sandbox tool, and what is said when the sandbox itself fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeGuard
from weakref import WeakValueDictionary

from freehold.core.decide import tool_error, tool_result
from freehold.core.drafts import Draft
from freehold.core.events import Content, SandboxAttached, SessionError
from freehold.core.networking import mcp_hosts
from freehold.core.permissions import enabled_builtins
from freehold.core.sandbox_notes import arrival
from freehold.core.state import OpenCall, SessionState
from freehold.errors import FurnishingFailed, SandboxError, SandboxLost, SandboxUnavailable
from freehold.harness.egress import Egress
from freehold.harness.furnishing import Furnishing
from freehold.harness.memory_mounts import AroundCalls
from freehold.harness.occupancy import Occupancy
from freehold.harness.offload import offload, too_long
from freehold.harness.restoring import Restorer
from freehold.harness.sessions import SessionHandle
from freehold.ports.sandbox import Sandbox, SandboxProvider, SandboxSpec, ToolCall, ToolOutcome

log = logging.getLogger(__name__)

LOST = (
    "The sandbox was lost while this call may have been running: it may have run in part, or "
    "not at all. A new sandbox takes its place; files that were not handed over are gone."
)
NOT_STARTED = "The sandbox could not be started; this call did not run."


class Hands:
    """Gives sessions their sandboxes and runs calls in them."""

    def __init__(
        self,
        provider: SandboxProvider,
        furnishing: Furnishing | None = None,
        around: AroundCalls | None = None,
        egress: Egress | None = None,
        restorer: Restorer | None = None,
    ) -> None:
        self._provider = provider
        self._egress = egress or Egress((), provider)
        self._furnishing = furnishing or Furnishing()
        self._around = around
        self._restorer = restorer
        self._occupancy = Occupancy()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._warming: dict[str, asyncio.Task[Sandbox]] = {}

    def using(self, session_id: str) -> AbstractAsyncContextManager[None]:
        """While the session's sandbox is used: nobody stops it."""
        return self._occupancy.use(session_id)

    def alone(self, session_id: str) -> AbstractAsyncContextManager[bool]:
        """Whether nobody uses the session's sandbox; if so, nobody begins to within."""
        return self._occupancy.alone(session_id)

    async def _acquire(self, handle: SessionHandle) -> Sandbox:
        spec = await handle.spec()
        roots = await self._furnishing.roots(spec)
        return await self._provider.acquire(
            SandboxSpec(
                session_id=handle.session_id,
                environment=spec.environment,
                mcp_hosts=mcp_hosts(spec.agent),
                roots=roots,
                grants=await self._egress.of(handle),
            )
        )

    async def _furnished(self, handle: SessionHandle) -> Sandbox:
        async with self.using(handle.session_id), self._lock(handle.session_id):
            sandbox = await self._acquire(handle)
            known = (await handle.state()).sandbox_id
            if self._restorer is not None and sandbox.identity != known:
                await self._restorer.restore(handle.session_id, sandbox)
            while True:
                spec = await handle.spec()
                try:
                    await self._furnishing.furnish(spec, sandbox, known=known)
                    return sandbox
                except FurnishingFailed:
                    # What was wanted may have been taken from the session meanwhile.
                    handle.forget_spec()
                    if await handle.spec() == spec:
                        raise

    def _lock(self, session_id: str) -> asyncio.Lock:
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        return lock

    def warm(self, handle: SessionHandle) -> None:
        """Begin to make the session's sandbox, so that the first call need not wait for all of
        it. What goes wrong is told when a call wants the sandbox."""
        session_id = handle.session_id
        if session_id in self._warming:
            return
        task = asyncio.create_task(self._furnished(handle), name=f"warm {session_id}")
        self._warming[session_id] = task
        task.add_done_callback(lambda done: self._warmed(session_id, done))

    def _warmed(self, session_id: str, task: asyncio.Task[Sandbox]) -> None:
        self._warming.pop(session_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("no sandbox yet for %s: %s", session_id, error)

    async def attach(self, handle: SessionHandle) -> Sandbox:
        """The session's sandbox, with all in it that the session is promised.

        Raises:
            SandboxUnavailable: none can be had, or it cannot be furnished.
        """
        task = self._warming.get(handle.session_id)
        if task is not None:
            await asyncio.wait({task})
        return await self._furnished(handle)

    def troubles(self, session_id: str) -> list[Draft]:
        """What the session is to be told that its sandbox lacks, each once (spec 6.8)."""
        return [Draft(SessionError(error=error)) for error in self._furnishing.troubles(session_id)]

    def arrival(self, state: SessionState, sandbox: Sandbox) -> list[Draft]:
        """What has to be in the log before a call runs in this sandbox."""
        restored = None
        if self._restorer is not None:
            restored = self._restorer.moment(state.session_id, sandbox)
        event = arrival(
            state,
            identity=sandbox.identity,
            boot=sandbox.boot,
            ended=sandbox.ended,
            restored=restored,
        )
        return [] if event is None else [Draft(event)]

    async def run(self, handle: SessionHandle, call: OpenCall, sandbox: Sandbox) -> list[Draft]:
        """Run the call, or take up the run that a dead server left behind."""
        state = await handle.state()
        try:
            outcome, told = await self._call(handle, call, sandbox)
        except SandboxLost as error:
            log.warning("sandbox of %s was lost: %s", handle.session_id, error)
            again = await self._again(handle, state.sandbox_id)
            if again is None:
                return [Draft(SandboxAttached(sandbox_id=None)), tool_error(call, LOST)]
            try:
                sandbox = again
                outcome, told = await self._call(handle, call, sandbox)
            except SandboxLost:
                return [Draft(SandboxAttached(sandbox_id=None)), tool_error(call, LOST)]
        content = await offload(sandbox, call.id, outcome.content)
        # It may have been stopped and started under the call.
        anew = self.arrival(state, sandbox) if sandbox.identity == state.sandbox_id else []
        news = [state.sandbox_note, *(draft.event.note for draft in anew if _attaches(draft.event))]
        notes = [{"type": "text", "text": note} for note in dict.fromkeys(filter(None, news))]
        result = tool_result(call, [*notes, *content, *told], is_error=outcome.is_error)
        return [*anew, replace(result, private={"sandbox": True})]

    async def _call(
        self, handle: SessionHandle, call: OpenCall, sandbox: Sandbox
    ) -> tuple[ToolOutcome, Content]:
        """The outcome, which the sandbox's journal has if the call was begun before: it never runs
        twice; and what there is to tell besides."""
        asked = ToolCall(id=call.id, name=call.name, input=call.input)
        if self._around is None:
            return await sandbox.call(asked), []
        spec = await handle.spec()
        await self._around.before(spec, sandbox)
        outcome = await sandbox.call(asked)
        return outcome, await self._around.after(spec, sandbox, call.name)

    async def _again(self, handle: SessionHandle, identity: str | None) -> Sandbox | None:
        """The same sandbox, if it was only stopped."""
        try:
            sandbox = await self.attach(handle)
        except SandboxUnavailable as error:
            log.warning("the sandbox of %s does not come back: %s", handle.session_id, error)
            return None
        return sandbox if sandbox.identity == identity else None

    async def shorten(self, handle: SessionHandle, call: OpenCall, content: Content) -> Content:
        """What a tool gave that did not run in the sandbox; if it is too long, its whole text is
        put there, where the agent has tools that could read it (spec 12.3)."""
        if not too_long(content):
            return content
        sandbox = None
        spec = await handle.spec()
        if spec.environment["type"] == "cloud" and enabled_builtins(spec.agent["tools"]):
            try:
                sandbox = await self.attach(handle)
            except SandboxError as error:
                log.warning("no sandbox for the result of %s: %s", call.id, error)
        return await offload(sandbox, call.id, content)

    async def stop(self, handle: SessionHandle, call: OpenCall) -> None:
        """Stop a running call; nothing to do where there is no sandbox to stop it in."""
        try:
            sandbox = await self._acquire(handle)
            await sandbox.cancel(call.id)
        except SandboxError as error:
            log.warning("could not stop %s of %s: %s", call.id, handle.session_id, error)

    async def remove(self, session_id: str) -> None:
        """The session is over: its sandbox goes."""
        task = self._warming.get(session_id)
        if task is not None:
            await asyncio.wait({task})
        await self.discard(session_id)

    async def discard(self, session_id: str) -> None:
        """Remove the session's sandbox and what is kept of it; the next call gets a fresh one."""
        self._furnishing.forget(session_id)
        if self._around is not None:
            self._around.forget(session_id)
        self._egress.forget(session_id)
        await self._provider.remove(session_id)
        if self._restorer is not None:
            await self._restorer.forget(session_id)

    async def close(self) -> None:
        """Stop preparing sandboxes."""
        tasks = list(self._warming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def lost(call: OpenCall, arrival: Sequence[Draft]) -> list[Draft]:
    """The call may have begun in a sandbox that is gone; what arrived takes its place."""
    return [*arrival, tool_error(call, LOST)]


def _attaches(event: object) -> TypeGuard[SandboxAttached]:
    return isinstance(event, SandboxAttached)


def unavailable(call: OpenCall, error: SandboxUnavailable) -> list[Draft]:
    """There is no sandbox: the call did not run, and the turn ends here."""
    return [
        tool_error(call, NOT_STARTED),
        Draft(
            SessionError(
                error={
                    "type": "unknown_error",
                    "message": str(error),
                    "retry_status": {"type": "exhausted"},
                }
            )
        ),
    ]
