"""What a session's log folds to: all that the next step and the API's answers need.

The model's message list is not in here: it grows without bound and only a model request needs
it (see ``transcript``). Everything else is, so the session row can cache it whole and no
request has to read the log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from freehold.core.events import ClientEvent, Json, ModelUsage, StopReason

Status = Literal["idle", "running", "rescheduling", "terminated"]
CallKind = Literal["builtin", "mcp", "custom"]


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
    permission: Literal["allow", "ask", "deny"] | None = None
    confirmed: bool = False
    """An ``ask`` that the user allowed."""

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client can move this call on."""
        return self.kind == "custom" or (self.permission == "ask" and not self.confirmed)


class Usage(_Model):
    """Tokens of all model requests so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    requests: int = 0

    def plus(self, more: ModelUsage) -> Usage:
        """The sum."""
        return Usage(
            input_tokens=self.input_tokens + more.input_tokens,
            output_tokens=self.output_tokens + more.output_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens
            + more.cache_creation_input_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + more.cache_read_input_tokens,
            requests=self.requests + 1,
        )


class SessionState(_Model):
    """The fold of a session's log up to ``seq``."""

    session_id: str
    primary_thread_id: str
    agent_name: str
    seq: int = 0
    last_at: datetime | None = None
    """``processed_at`` of the newest record; the next one is later."""
    status: Status = "idle"
    stop_reason: StopReason | None = None
    inputs: tuple[PendingInput, ...] = ()
    calls: tuple[OpenCall, ...] = ()
    open_span: str | None = None
    owes_sampling: bool = False
    """The model has something to answer: a message or tool results it has not seen."""
    sandbox_id: str | None = None
    sandbox_seq: int = 0
    """Where the log says that this sandbox was attached."""
    usage: Usage = Usage()
    active_micros: int = 0
    """Time spent running, without the present run."""
    running_since: datetime | None = None
    deleted: bool = False
