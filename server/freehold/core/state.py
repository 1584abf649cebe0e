"""What a session's log folds to: all that the next step and the API's answers need.

The model's message list is not in here: it grows without bound and only a model request needs
it (see ``transcript``). Everything else is, so the session row can cache it whole and no
request has to read the log.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from freehold.core import prices, times
from freehold.core.events import ClientEvent, Json, ModelUsage, StopReason

Status = Literal["idle", "running", "rescheduling", "terminated"]
CallKind = Literal["builtin", "mcp", "custom", "worker"]
"""``worker``: a built-in tool of the sandbox that a worker of a self-hosted environment runs."""
Permission = Literal["allow", "ask", "deny"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PendingInput(_Model):
    """A client's event that was accepted and waits for the agent."""

    id: str
    event: ClientEvent


class OpenCall(_Model):
    """A tool call of the last answer that has no result yet."""

    id: str
    kind: CallKind
    name: str
    input: Json
    seq: int
    """Where the log says that the model asked for it."""
    permission: Permission | None = None
    """As evaluated when the model asked; custom tools have none (spec 12.4)."""
    server: str | None = None
    """The MCP server whose tool it is."""
    started: bool = False
    """It may have run although there is no result: it must not run again."""
    verdict: Literal["allow", "deny"] | None = None
    """The client's answer to an ``ask``."""
    deny_message: str | None = None

    @property
    def asks(self) -> bool:
        """Whether the call waits for the client's confirmation."""
        return self.permission == "ask" and self.verdict is None

    @property
    def refused(self) -> bool:
        """Whether it may not run; then the server answers it, whoever would have run it."""
        return self.permission == "deny" or self.verdict == "deny"

    @property
    def outside(self) -> bool:
        """Whether its result comes from the client or a worker."""
        return self.kind == "custom" or (self.kind == "worker" and not self.refused)


class Usage(_Model):
    """Tokens of all model requests so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    requests: int = 0
    web_search_requests: int = 0
    token_cost: int = 0
    """List price of the tokens, in picodollars; each request's at the price of its day."""
    unpriced: bool = False
    """A request was answered by a model without a list price, so the cost is not known."""

    def plus(self, more: ModelUsage, rates: prices.Rates | None = None) -> Usage:
        """The sum; ``rates`` are the price of ``more``."""
        return Usage(
            input_tokens=self.input_tokens + more.input_tokens,
            output_tokens=self.output_tokens + more.output_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens
            + more.cache_creation_input_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + more.cache_read_input_tokens,
            requests=self.requests + 1,
            web_search_requests=self.web_search_requests,
            token_cost=self.token_cost + (rates.cost(more) if rates is not None else 0),
            unpriced=self.unpriced or rates is None,
        )

    @property
    def cost(self) -> int:
        """Picodollars of tokens and searches, as far as prices are known."""
        return self.token_cost + self.web_search_requests * prices.WEB_SEARCH


END_TURN = StopReason(type="end_turn")


class SessionState(_Model):
    """The fold of a session's log up to ``seq``."""

    session_id: str
    primary_thread_id: str
    agent_name: str
    created_at: datetime
    self_hosted: bool = False
    """Workers of its environment run the tools of the sandbox (spec 4)."""
    seq: int = 0
    last_at: datetime | None = None
    """``processed_at`` of the newest record; the next one is later."""
    status: Status = "idle"
    stop_reason: StopReason | None = None
    """Why the session is idle; ``None`` while it runs or has never run."""
    inputs: tuple[PendingInput, ...] = ()
    calls: tuple[OpenCall, ...] = ()
    early: tuple[str, ...] = ()
    """Calls that were answered from outside before the session said that it waits for them."""
    open_span: str | None = None
    owes_sampling: bool = False
    """The model has something to answer: a message or tool results it has not seen."""
    ending: StopReason = END_TURN
    """What the next idle will give as its reason, unless calls wait for the client."""
    ending_details: Json | None = None
    attempts: int = 0
    """Model requests that failed one after the other, of those that were worth retrying."""
    retry_at: datetime | None = None
    """When a rescheduled session runs again."""
    context_full: bool = False
    """The last request came near the model's window; the conversation is summed up first."""
    rounds: int = 0
    """Answers since the user's last message that wanted tools, or more time."""
    compactions: int = 0
    """Summaries made one after the other without getting away from the window's edge."""
    halted: bool = False
    """The turn broke; nothing more is tried until the next one."""
    fatal: bool = False
    """The session broke; it will be terminated."""
    thread_running: bool = False
    thread_reason: StopReason | None = None
    """The primary thread is idle for this reason and the session has not said so yet."""
    usage_told: bool = False
    """The usage that precedes that idle is in the log."""
    mcp_listed: tuple[str, ...] = ()
    """MCP servers whose tools are in the log."""
    mcp_failed: tuple[str, ...] = ()
    """MCP servers of which this run has said that they fail; they are asked again in the next."""
    unreachable: tuple[str, ...] = ()
    """Credentials of which the log says that the environment shuts their hosts out."""
    sandbox_id: str | None = None
    """The sandbox that the newest tool calls ran in."""
    sandbox_boot: str | None = None
    """The run of its processes that they ran in."""
    sandbox_note: str | None = None
    """What the model has still to be told of it."""
    sandbox_used: int = 0
    """The record with the newest result of a call that ran in a sandbox."""
    usage: Usage = Usage()
    active_micros: int = 0
    """Time spent running, without the present run."""
    running_since: datetime | None = None
    startup_micros: int | None = None
    """Time from the first running to the first model request, once that was made."""
    budget: int | None = None
    """The list cost at which no model request is made any more, in cents."""
    budgets_reached: tuple[int, ...] = ()
    """The budgets at which it has said that it pauses: webhooks tell of each once."""
    archived: bool = False
    deleted: bool = False

    @property
    def due_at(self) -> datetime | None:
        """When the session has to be woken although nobody sends anything; what timers watch."""
        return self.retry_at if self.status == "rescheduling" else None

    @property
    def abandoned(self) -> bool:
        """Whether the client is done with the session, and its sandbox may go."""
        return self.archived or self.deleted

    @property
    def needs_work(self) -> bool:
        """Whether a runner would find something to do; what the start-up sweep looks for."""
        if self.status == "terminated" or self.deleted:
            return False
        if self.status != "idle":
            return True
        return (self.has_news or self.owes_sampling) and not self.at_budget()

    def ran(self, now: datetime | None = None) -> int:
        """Microseconds spent running until ``now``, or until the present run began."""
        if self.running_since is None or now is None:
            return self.active_micros
        run = times.to_micros(now) - times.to_micros(self.running_since)
        return self.active_micros + max(0, run)

    def consumed(self, now: datetime | None = None) -> Fraction:
        """The list cost until ``now`` in picodollars, exact, as far as prices are known."""
        return self.usage.cost + prices.RUNNING_TIME * self.ran(now)

    def at_budget(self, now: datetime | None = None) -> bool:
        """Whether the budget is used up, or nobody can say so because a price is missing."""
        if self.budget is None:
            return False
        cap = self.budget * prices.PICODOLLARS_PER_CENT
        return self.usage.unpriced or self.consumed(now) >= cap

    @property
    def has_news(self) -> bool:
        """Whether an input waits that starts a turn; a system message only goes with one."""
        return any(item.event.type != "system.message" for item in self.inputs)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the calls that wait for the client, in the order the model made them.

        Where confirmations are open only these are listed (spec 6.7): nothing runs here, and no
        result is asked for, until all of them are settled.
        """
        asks = tuple(call.id for call in self.calls if call.asks)
        return asks or tuple(call.id for call in self.calls if call.outside)

    @property
    def blocked(self) -> bool:
        """Whether the open calls leave nothing to do until the client answers one of them."""
        return any(call.asks for call in self.calls) or (
            bool(self.calls) and all(call.outside for call in self.calls)
        )

    @property
    def wants_worker(self) -> bool:
        """Whether a worker would find something to do, or soon may (spec 4.3)."""
        if not self.self_hosted or self.status == "terminated" or self.deleted:
            return False
        if self.status != "idle":
            return True
        asks = any(call.asks for call in self.calls)
        return not asks and any(call.outside for call in self.calls)

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt waits to be obeyed."""
        return any(item.event.type == "user.interrupt" for item in self.inputs)
