"""A judge that fails never lets a call run by itself (spec 12.4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.core.drafts import Draft
from freehold.core.events import AgentMessage, AgentToolUse, ModelAsked, ModelUsage
from freehold.core.judging import ALLOWED, DENIED, NO_JUDGEMENT, NOT_HELD, SYSTEM
from freehold.errors import ModelError
from freehold.harness.judge import Judge
from freehold.ports.model import ModelRequest, ModelResponse, TextDelta


class Model:
    """Says one thing, or breaks; remembers what it was asked."""

    description = "fake"

    def __init__(
        self,
        says: str | Exception,
        stop: str = "end_turn",
        wait: bool = False,
        usage: ModelUsage | None = None,
    ) -> None:
        self.usage = usage or ModelUsage()
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
        yield ModelResponse([{"type": "text", "text": self.says}], self.stop, self.usage)

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
    judge = Judge(model, patience=0.05)
    draft, *costs = await judge.settle([call()], "claude-opus-5", ["look"])
    assert len(costs) == isinstance(model.says, str) - model.wait
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
    assert [draft.event.type for draft in settled[4:]] == ["model.asked"] * 2
    assert len(model.asked) == 2
    assert {request.model for request in model.asked} == {"claude-opus-5"}
    assert model.asked[0].system[0]["text"] == SYSTEM
    assert model.asked[0].tools == []


async def test_another_model_may_judge() -> None:
    model = Model("VERDICT: allow")
    await Judge(model, "claude-haiku-5-5").settle([call()], "claude-opus-5", [])
    assert model.asked[0].model == "claude-haiku-5-5"


async def test_what_a_judgement_cost_is_noted() -> None:
    model = Model("VERDICT: allow", usage=ModelUsage(input_tokens=100, output_tokens=7))
    for known, rates in (("claude-haiku-4-5", 1_000_000), ("a-local-model", None)):
        _, cost = await Judge(model, known).settle([call()], "claude-opus-5", [])
        assert isinstance(cost.event, ModelAsked)
        assert (cost.event.purpose, cost.event.model) == ("judgement", known)
        assert cost.event.usage == model.usage
        price = cost.event.price
        assert (price and price["input"]) == rates


async def test_nobody_is_asked_when_the_budget_is_spent() -> None:
    model = Model("VERDICT: allow")
    other = call("read", {"type": "always_allow"})
    settled = await Judge(model).settle([call(), other], "claude-opus-5", [], spent=True)
    assert [draft.event.evaluation for draft in settled] == [  # type: ignore[union-attr]
        NOT_HELD.evaluation,
        {"type": "always_allow"},
    ]
    assert model.asked == []


async def test_a_call_too_long_to_be_read_is_not_judged() -> None:
    model = Model("VERDICT: allow")
    long = Draft(
        AgentToolUse(name="write", input={"content": "x" * 200_000}, evaluation={"type": "auto"})
    )
    (draft,) = await Judge(model).settle([long], "m", [])
    assert draft.event.evaluation == NO_JUDGEMENT.evaluation  # type: ignore[union-attr]
    assert model.asked == []
