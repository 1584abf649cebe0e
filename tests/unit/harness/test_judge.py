"""A judge that fails never lets a call run by itself (spec 12.4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.core.drafts import Draft
from freehold.core.events import AgentMessage, AgentToolUse, ModelUsage
from freehold.core.judging import ALLOWED, DENIED, NO_JUDGEMENT, NOT_HELD, SYSTEM
from freehold.errors import ModelError
from freehold.harness.judge import Judge
from freehold.ports.model import ModelRequest, ModelResponse, TextDelta


class Model:
    """Says one thing, or breaks; remembers what it was asked."""

    description = "fake"

    def __init__(self, says: str | Exception, stop: str = "end_turn", wait: bool = False) -> None:
        self.says = says
        self.stop = stop
        self.wait = wait
        self.asked: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> Any:
        self.asked.append(request)
        if self.wait:
            await asyncio.Event().wait()
        if isinstance(self.says, Exception):
            raise self.says
        yield TextDelta(0, self.says)
        yield ModelResponse([{"type": "text", "text": self.says}], self.stop, ModelUsage())

    async def check(self) -> Any:
        return []

    async def close(self) -> None: ...


def call(name: str = "bash", evaluation: Any = None) -> Draft:
    return Draft(
        AgentToolUse(
            name=name,
            input={"command": "ls"},
            evaluated_permission="ask",
            evaluation=evaluation or {"type": "auto"},
        ),
        private={"tool_use_id": "toolu_1"},
        id="sevt_1",
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model("Fine.\nVERDICT: allow"), ALLOWED),
        (Model("No.\nVERDICT: deny"), DENIED),
        (Model("VERDICT: ask"), NO_JUDGEMENT),
        (Model("I would rather not say"), NO_JUDGEMENT),
        (Model("VERDICT: allow", stop="refusal"), NO_JUDGEMENT),
        (Model("VERDICT: allow", stop="max_tokens"), NO_JUDGEMENT),
        (Model(ModelError("billing", "no credit")), NOT_HELD),
        (Model(ModelError("overloaded", "busy")), NO_JUDGEMENT),
        (Model(ModelError("authentication", "bad key")), NO_JUDGEMENT),
        (Model(RuntimeError("a bug")), NO_JUDGEMENT),
        (Model("", wait=True), NO_JUDGEMENT),
    ],
)
async def test_every_answer_has_a_meaning(model: Model, expected: Any) -> None:
    (draft,) = await Judge(model, patience=0.05).settle([call()], "claude-opus-5", ["look"])
    assert isinstance(draft.event, AgentToolUse)
    assert draft.event.evaluated_permission == expected.permission
    assert draft.event.evaluation == expected.evaluation
    assert (draft.id, draft.private) == ("sevt_1", {"tool_use_id": "toolu_1"})


async def test_only_calls_under_auto_cost_a_request() -> None:
    model = Model("VERDICT: allow")
    drafts = [
        Draft(AgentMessage(content=[])),
        call("read", {"type": "always_allow"}),
        call("bash"),
        call("write"),
    ]
    settled = await Judge(model).settle(drafts, "claude-opus-5", ["look"])
    assert settled[:2] == drafts[:2]
    assert len(model.asked) == 2
    assert {request.model for request in model.asked} == {"claude-opus-5"}
    assert model.asked[0].system[0]["text"] == SYSTEM
    assert model.asked[0].tools == []


async def test_another_model_may_judge() -> None:
    model = Model("VERDICT: allow")
    await Judge(model, "claude-haiku-5-5").settle([call()], "claude-opus-5", [])
    assert model.asked[0].model == "claude-haiku-5-5"


async def test_a_call_too_long_to_be_read_is_not_judged() -> None:
    model = Model("VERDICT: allow")
    long = Draft(
        AgentToolUse(name="write", input={"content": "x" * 200_000}, evaluation={"type": "auto"})
    )
    (draft,) = await Judge(model).settle([long], "m", [])
    assert draft.event.evaluation == NO_JUDGEMENT.evaluation  # type: ignore[union-attr]
    assert model.asked == []
