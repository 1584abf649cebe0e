"""A session as a transcript: no clock, no network, no disk.

A :class:`Playbook` keeps a log, takes client events in, and carries commands out with a model
and tools that are plain functions. What it prints is what a client would see.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from freehold.core import ids, judging
from freehold.core.accept import accept
from freehold.core.commands import CallModel, Compact, RunTool, Write
from freehold.core.decide import MAX_ROUNDS, decide, tool_error, tool_result
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import CLIENT_EVENT, Json, ModelUsage, Record
from freehold.core.fold import fold_all
from freehold.core.mcp import offered
from freehold.core.prices import Rates
from freehold.core.state import SessionState
from freehold.core.transcript import Transcript
from freehold.errors import ModelError, WebError
from freehold.harness.model_turn import answered, compacted, failed
from freehold.ports.model import ModelResponse

START = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
THREAD = "sthr_01" + "1" * 22
USAGE = ModelUsage(input_tokens=10, output_tokens=2)

Answer = list[Json] | ModelError | ModelResponse
Model = Callable[[list[Json]], Answer]
Tool = Callable[[str, Json], str | list[Json] | WebError]
"""What it returns is the result's text, or its blocks, or why there is none."""


def toolset(**policies: str) -> list[Json]:
    """A resolved agent toolset; tools not named are disabled."""
    names = ("bash", "read", "write", "edit", "glob", "grep", "web_fetch", "web_search")
    return [
        {
            "type": "agent_toolset_20260401",
            "configs": [
                {
                    "name": name,
                    "enabled": name in policies,
                    "permission_policy": {"type": policies.get(name, "always_allow")},
                }
                for name in names
            ],
        },
        {"type": "custom", "name": "get_weather", "description": "d", "input_schema": {}},
        {"type": "mcp_toolset", "mcp_server_name": "linear", "configs": []},
    ]


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def use(name: str, key: str = "t1", **arguments: Any) -> Json:
    return {"type": "tool_use", "id": f"toolu_{key}", "name": name, "input": arguments}


def say(words: str) -> Json:
    return {"type": "user.message", "content": [text(words)]}


def fresh_state(budget: int | None = None) -> SessionState:
    return SessionState(
        session_id="sesn_01" + "1" * 22,
        primary_thread_id=THREAD,
        agent_name="Helper",
        created_at=START,
        budget=budget,
    )


class Playbook:
    """One session's log and the functions that stand for the world."""

    def __init__(
        self,
        model: Model = lambda _: [text("ok")],
        tool: Tool = lambda name, arguments: f"{name} ran",
        tools: list[Json] | None = None,
        records: Sequence[Record] = (),
        *,
        budget: int | None = None,
        rates: Rates | None = None,
        rounds: int = MAX_ROUNDS,
    ) -> None:
        self.model = model
        self.tool = tool
        self.tools = toolset(bash="always_allow") if tools is None else tools
        self.records: list[Record] = list(records)
        self.rates = rates
        self.rounds = rounds
        self.state = fold_all(fresh_state(budget), self.records)
        self.judge: Callable[[str], str] = lambda _: "VERDICT: allow"
        """Answers what is asked about calls under the policy ``auto``."""
        self.compact_at: int | None = None
        self.retries = 0
        """How often a request that is worth retrying is tried again, ten seconds later."""
        self._later = timedelta()
        self._minted = 0
        self._salt = len(self.records)

    def mint(self) -> str:
        self._minted += 1
        return ids.encode("sevt", self._salt, self._minted.to_bytes(ids.ENTROPY_BYTES, "big"))

    def pen(self, origin: Any = "runner") -> Draughtsman:
        return Draughtsman(self.state, now=self.now, mint=self.mint, origin=origin)

    @property
    def now(self) -> datetime:
        """A second later with each record."""
        return START + timedelta(seconds=len(self.records)) + self._later

    def later(self, seconds: float) -> Playbook:
        """Let time pass."""
        self._later += timedelta(seconds=seconds)
        return self

    def commit(self, pen: Draughtsman) -> None:
        self.records += pen.records
        self.state = pen.state

    def client(self, *events: Json, answered_before: Sequence[str] = ()) -> list[Json]:
        """Send a batch; the echoes."""
        pen = self.pen("client")
        parsed = [CLIENT_EVENT.validate_python(event) for event in events]
        echoes = accept(pen, parsed, answered_before.__contains__)
        self.commit(pen)
        return echoes

    def write(self, *drafts: Draft) -> None:
        pen = self.pen()
        pen.write(*drafts)
        self.commit(pen)

    def step(self) -> bool:
        """Decide once and carry it out; whether there was something to do."""
        command = decide(self.state, self.now, max_rounds=self.rounds)
        match command:
            case None:
                return False
            case Write(drafts=drafts):
                self.write(*drafts)
            case CallModel(opening=opening):
                self.write(*opening)
                assert self.state.open_span is not None
                self.write(*self._sample(self.state.open_span))
            case Compact(opening=opening):
                self.write(*opening)
                assert self.state.open_span is not None
                self.write(*self._sum_up(self.state.open_span))
            case RunTool(call=call):
                outcome = self.tool(call.name, call.input)
                if isinstance(outcome, WebError):
                    self.write(tool_error(call, str(outcome)))
                else:
                    content = [text(outcome)] if isinstance(outcome, str) else outcome
                    self.write(tool_result(call, content, is_error=False))
        return True

    def _sample(self, span_id: str) -> list[Draft]:
        answer = self.model(copy.deepcopy(self.transcript().messages))
        if isinstance(answer, ModelError):
            again = answer.retryable and self.state.attempts < self.retries
            retry_at = self.now + timedelta(seconds=10) if again else None
            return failed(span_id, answer, self.state, retry_at)
        if isinstance(answer, list):
            kinds = {block["type"] for block in answer}
            reason = "tool_use" if "tool_use" in kinds else "end_turn"
            answer = ModelResponse(content=answer, stop_reason=reason, usage=USAGE)
        drafts = answered(
            span_id,
            answer,
            self.tools,
            mcp_tools=offered(self.tools, self.transcript().mcp_tools),
            compact_at=self.compact_at,
            rates=self.rates,
        )
        return [self._judged(draft) for draft in drafts]

    def _judged(self, draft: Draft) -> Draft:
        event = draft.event
        if not judging.to_be_judged(event):
            return draft
        verdict = judging.judged(self.judge(event.name))  # type: ignore[union-attr]
        change = {"evaluated_permission": verdict.permission, "evaluation": verdict.evaluation}
        return dataclasses.replace(draft, event=event.model_copy(update=change))

    def _sum_up(self, span_id: str) -> list[Draft]:
        answer = self.model([*self.transcript().messages, say("SUM UP")])
        if isinstance(answer, ModelError):
            return failed(span_id, answer, self.state, None)
        assert isinstance(answer, list)
        return compacted(span_id, ModelResponse(answer, "end_turn", USAGE), self.rates)

    def run(self, limit: int = 200) -> Playbook:
        """Until nothing is left to do."""
        for _ in range(limit):
            if not self.step():
                return self
        raise AssertionError(f"still busy after {limit} steps: {self.lines()[-8:]}")

    def transcript(self) -> Transcript:
        transcript = Transcript()
        for record in self.records:
            transcript.extend(record)
        return transcript

    def lines(self, since: int = 0) -> list[str]:
        """The public log, a line an event."""
        return [_line(record) for record in self.records[since:] if record.public]


def _line(record: Record) -> str:
    event = record.event
    detail = ""
    match event.type:
        case "user.message" | "agent.message":
            detail = " ".join(block["text"] for block in event.content)
        case "agent.tool_use":
            detail = f"{event.name} [{event.evaluated_permission}]"
        case "agent.custom_tool_use":
            detail = event.name
        case "agent.tool_result" | "user.custom_tool_result":
            words = " ".join(block.get("text", block["type"]) for block in event.content or [])
            detail = f"error: {words}" if event.is_error else words
        case "session.status_idle" | "session.thread_status_idle":
            detail = event.stop_reason.type
            if event.stop_reason.event_ids:
                detail += f" x{len(event.stop_reason.event_ids)}"
        case "span.model_request_end":
            detail = "error" if event.is_error else ""
        case "session.error":
            detail = f"{event.error['type']} {event.error['retry_status']['type']}"
        case "user.tool_confirmation":
            detail = event.result
        case _:
            pass
    return f"{event.type} {detail}".strip()
