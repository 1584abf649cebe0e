"""``wake``: carry a session on until nothing is left to do.

Read, decide, carry out, append. All that is decided is decided inside the transaction that
writes it, against the log as it is at that moment; all that takes time happens between two
transactions, and is given up when a client interrupts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.core.catalog import Catalog
from freehold.core.commands import CallModel, Compact, ListTools, RunTool, Write
from freehold.core.decide import MAX_ROUNDS, decide, tool_error
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import CallStarted, SessionStatusIdle
from freehold.core.mcp import unlisted
from freehold.core.permissions import enabled_builtins
from freehold.core.state import OpenCall, SessionState
from freehold.errors import SandboxUnavailable
from freehold.harness.attachments import Attachments
from freehold.harness.backoff import Backoff
from freehold.harness.egress import Egress
from freehold.harness.furnishing import Furnishing
from freehold.harness.judge import Judge
from freehold.harness.keeping import Keeper, Rules
from freehold.harness.mcp import LOST, McpTools
from freehold.harness.memory_mounts import AroundCalls
from freehold.harness.model_turn import Sampler
from freehold.harness.outputs import Harvester
from freehold.harness.restoring import Restorer
from freehold.harness.sessions import Fenced, SessionGone, SessionHandle, Sessions
from freehold.harness.tools import Hands, lost, unavailable
from freehold.harness.variables import VaultVariables
from freehold.harness.web import WebTools, is_web_call
from freehold.ports.checkpoints import Checkpoints, Resting
from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Fanout, Subscription
from freehold.ports.files import FileReader
from freehold.ports.furnishing import Furnisher
from freehold.ports.log import EventLog, Transaction
from freehold.ports.model import Model
from freehold.ports.outputs import Outputs
from freehold.ports.sandbox import SandboxProvider
from freehold.ports.web import Web

log = logging.getLogger(__name__)

Work = CallModel | Compact | ListTools | RunTool


def plan(
    pen: Draughtsman, servers: Sequence[str] = (), max_rounds: int = MAX_ROUNDS
) -> Work | None:
    """Write down all that needs no doing, up to the next command that does.

    ``servers`` are the agent's MCP servers: the model is asked once they all were (spec 12.5).
    """
    while True:
        command = decide(pen.state, pen.now, max_rounds=max_rounds)
        if not isinstance(command, Write):
            if isinstance(command, CallModel) and (missing := unlisted(pen.state, servers)):
                return ListTools(missing)
            if isinstance(command, CallModel | Compact):
                pen.write(*command.opening)
            return command
        pen.write(*command.drafts)


def stray_call(state: SessionState) -> OpenCall | None:
    """The call that runs in the sandbox, or may, while the client wants the session to stop.

    Calls run one after the other. A sandbox outlives its server, so the call may be one that a
    server before this one began and did not live to stop.
    """
    if not state.interrupted or state.blocked or state.sandbox_id is None:
        return None
    call = next((call for call in state.calls if not call.outside), None)
    if call is None or call.kind != "builtin" or is_web_call(call):
        return None
    return call


def ends_turn(pen: Draughtsman) -> bool:
    """Whether what is about to be written tells the client that the session waits for it."""
    return any(isinstance(record.event, SessionStatusIdle) for record in pen.records)


def in_sandbox(work: Work) -> bool:
    """Whether it may leave something in the sandbox."""
    return isinstance(work, RunTool) and work.call.kind == "builtin" and not is_web_call(work.call)


@dataclass(frozen=True)
class _Job:
    """A session at work: where it stands, and how long its log was when this wake found it."""

    handle: SessionHandle
    listener: Subscription
    state: SessionState
    found: int


class Driver:
    """Runs sessions. Holds nothing that the log does not."""

    def __init__(
        self,
        *,
        log: EventLog,
        sessions: Sessions,
        sandboxes: SandboxProvider,
        mcp: McpTools,
        model: Model,
        fanout: Fanout,
        clock: Clock,
        web: Web,
        backoff: Backoff | None = None,
        compact_at: float = 0.8,
        max_rounds: int = MAX_ROUNDS,
        catalog: Catalog | None = None,
        auto_model: str | None = None,
        furnishers: Sequence[Furnisher] = (),
        outputs: Outputs | None = None,
        files: FileReader | None = None,
        around_calls: AroundCalls | None = None,
        egress: Egress | None = None,
        variables: VaultVariables | None = None,
        checkpoints: Checkpoints | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._log = log
        self._sessions = sessions
        furnishing = Furnishing(furnishers)
        rules = rules or Rules(idle_stop=None)
        restorer = None if checkpoints is None else Restorer(checkpoints, rules.largest)
        self._hands = Hands(sandboxes, furnishing, around_calls, egress, restorer)
        self._around_calls = around_calls
        self._variables = variables
        self.keeper: Keeper | None = None
        """Looks after sandboxes that can be stopped."""
        if checkpoints is not None and isinstance(sandboxes, Resting):
            self.keeper = Keeper(
                provider=sandboxes,
                hands=self._hands,
                log=log,
                sessions=sessions,
                clock=clock,
                checkpoints=checkpoints,
                rules=rules,
            )
        self._harvester = None if outputs is None else Harvester(outputs)
        catalog = catalog or Catalog()
        self._web = WebTools(web, log, catalog)
        self._mcp = mcp
        self._sampler = Sampler(
            model,
            sandboxes.layout,
            fanout,
            clock,
            backoff or Backoff(),
            catalog,
            web,
            Judge(model, auto_model, catalog),
            Attachments(files, clock),
            compact_at,
            furnishing,
        )
        self._fanout = fanout
        self._clock = clock
        self._max_rounds = max_rounds

    async def close(self) -> None:
        """Let go of what is being prepared."""
        if self.keeper is not None:
            await self.keeper.close()
        await self._hands.close()
        await self._mcp.close()

    async def wake(self, session_id: str) -> None:
        """Carry the session on until it waits for its client or is over."""
        handle = self._sessions.handle(session_id)
        listener = self._fanout.subscribe(session_id)
        try:
            await self._run(handle, listener)
        except SessionGone:
            self._sessions.forget(session_id)
            await self._let_go(session_id)
        except Fenced as error:
            log.warning("%s; this runner stops", error)
        finally:
            listener.close()

    async def _run(self, handle: SessionHandle, listener: Subscription) -> None:
        facts: Sequence[Draft] = await self._shut_out(handle)
        found: int | None = None
        stopped = False
        # Taken up in the middle, it may have been after a call.
        unharvested = False
        while True:
            spec = await handle.spec()
            servers = [server["name"] for server in spec.agent["mcp_servers"]]
            async with self._log.transaction() as tx:
                pen = await self._pen(handle, tx)
                if found is None:
                    found = pen.state.seq
                    unharvested = pen.state.status == "running"
                pen.write(*facts)
                if pen.state.status == "running":
                    pen.write(*self._hands.troubles(handle.session_id))
                happened = pen.copy()
                stray = None if stopped else stray_call(pen.state)
                work = None if stray else plan(pen, servers, self._max_rounds)
                harvest = unharvested and self._harvests and ends_turn(pen)
                if harvest:
                    # That the turn has ended is written once its outputs are kept: should we die
                    # in between, the next server finds it running and looks again.
                    pen = happened
                await handle.save(tx, pen)
            if stray is not None:
                await self._hands.stop(handle, stray)
                facts, stopped = (), True
                continue
            if harvest:
                await self._harvest(handle)
                facts, unharvested = (), False
                continue
            stopped = False
            if work is None:
                break
            unharvested = unharvested or in_sandbox(work)
            job = _Job(handle, listener, pen.state, found)
            facts = await self._carry_out(job, work)
        if pen.state.abandoned:
            await self._let_go(handle.session_id)
            self._sessions.forget(handle.session_id)
        elif self.keeper is not None and pen.state.sandbox_used > 0:
            self.keeper.turn_ended(handle.session_id)

    @property
    def _harvests(self) -> bool:
        return self._harvester is not None or self._around_calls is not None

    async def _shut_out(self, handle: SessionHandle) -> Sequence[Draft]:
        """What is to be said of credentials before the session goes on; of each once."""
        state = await handle.state()
        if self._variables is None or state.status != "running":
            return ()
        try:
            return await self._variables.unreachable(await handle.spec(), state.unreachable)
        except SandboxUnavailable as error:
            log.warning("hosts of credentials of %s: %s", handle.session_id, error)
            return ()

    async def _harvest(self, handle: SessionHandle) -> None:
        """Keep what the agent left in the sandbox that its calls ran in, if it is there."""
        known = (await handle.state()).sandbox_id
        if known is None:
            return
        try:
            sandbox = await self._hands.attach(handle)
        except SandboxUnavailable as error:
            log.warning("what %s left cannot be had: %s", handle.session_id, error)
            return
        if sandbox.identity != known:
            return
        async with self._hands.using(handle.session_id):
            if self._around_calls is not None:
                await self._around_calls.settle(await handle.spec(), sandbox)
            if self._harvester is not None:
                await self._harvester.harvest(await handle.spec(), sandbox)

    async def _let_go(self, session_id: str) -> None:
        await self._mcp.forget(session_id)
        await self._hands.remove(session_id)

    async def _pen(self, handle: SessionHandle, tx: Transaction) -> Draughtsman:
        return Draughtsman(
            await handle.lock(tx, as_runner=True),
            now=self._clock.now(),
            mint=lambda: self._clock.mint("sevt"),
            origin="runner",
        )

    async def _carry_out(self, job: _Job, work: Work) -> Sequence[Draft]:
        """Do the work; nothing comes of it if the client stops the session meanwhile."""
        doing = asyncio.create_task(self._perform(job, work))
        try:
            seen = job.state.seq
            while not doing.done():
                hearing = asyncio.create_task(job.listener.wait(seen))
                try:
                    await asyncio.wait({doing, hearing}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    hearing.cancel()
                if hearing.done() and not hearing.cancelled() and not doing.done():
                    seen = hearing.result()
                    now = await job.handle.state(at_least=seen)
                    if now.interrupted or now.status == "terminated":
                        return ()
            return doing.result()
        finally:
            if not doing.done():
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)

    async def _perform(self, job: _Job, work: Work) -> Sequence[Draft]:
        if isinstance(work, ListTools):
            return await self._mcp.list_tools(job.handle, work.servers)
        if isinstance(work, RunTool):
            if work.call.kind == "mcp":
                return await self._run_mcp(job, work.call)
            if is_web_call(work.call):
                return await self._web.run(job.handle, work.call)
            async with self._hands.using(job.handle.session_id):
                return await self._run_tool(job, work.call)
        if isinstance(work, Compact):
            return await self._sampler.compact(job.handle, job.state)
        spec = await job.handle.spec()
        here = not job.state.self_hosted and enabled_builtins(spec.agent["tools"])
        if here and job.state.sandbox_id is None:
            self._hands.warm(job.handle)
        return await self._sampler.sample(job.handle, job.state)

    async def _run_mcp(self, job: _Job, call: OpenCall) -> Sequence[Draft]:
        if call.started:
            return (tool_error(call, LOST),)
        # Nobody keeps a journal of what runs there: should we die now, it does not run again.
        async with self._log.transaction() as tx:
            pen = await self._pen(job.handle, tx)
            pen.write(Draft(CallStarted(call_id=call.id)))
            await job.handle.save(tx, pen)
        return await self._mcp.call(
            job.handle, pen.state, call, lambda c: self._hands.shorten(job.handle, call, c)
        )

    async def _run_tool(self, job: _Job, call: OpenCall) -> Sequence[Draft]:
        try:
            sandbox = await self._hands.attach(job.handle)
        except SandboxUnavailable as error:
            log.warning("no sandbox for %s: %s", job.handle.session_id, error)
            return unavailable(call, error)
        arrival = self._hands.arrival(job.state, sandbox)
        if job.state.sandbox_id not in (None, sandbox.identity) and call.seq <= job.found:
            return lost(call, arrival)
        troubles = self._hands.troubles(job.handle.session_id)
        if arrival or troubles:
            # Before the call: should the sandbox be lost, the log knows that it may have run.
            async with self._log.transaction() as tx:
                pen = await self._pen(job.handle, tx)
                pen.write(*arrival, *troubles)
                await job.handle.save(tx, pen)
        return await self._hands.run(job.handle, call, sandbox)
