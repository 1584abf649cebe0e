"""Routes and fallbacks, against scripted providers and a server that records what it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.models import asking, sample, says, served

from freehold.core.events import ModelUsage
from freehold.errors import ModelError
from freehold.models import build_model
from freehold.models.route_table import RouteTable
from freehold.models.routed import RoutedModel
from freehold.models.scripted.http import ScriptedHttp
from freehold.models.scripted.model import ScriptedModel
from freehold.ports.model import (
    BlockStarted,
    ModelEvent,
    ModelRequest,
    ModelResponse,
    Relayed,
    TextDelta,
)
from freehold.ports.sandbox import Finding
from freehold.settings import Settings

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


class Fake:
    """A provider that answers as told and remembers what it was asked."""

    description = "fake"

    def __init__(self, name: str, *failures: ModelError, after: int = 0) -> None:
        self.name = name
        self.failures = list(failures)
        self.after = after
        self.asked: list[ModelRequest] = []
        self.relayed: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> Any:
        self.asked.append(request)
        failure = self.failures.pop(0) if self.failures else None
        events: list[ModelEvent] = [
            BlockStarted(0, "thinking"),
            BlockStarted(1, "text"),
            TextDelta(1, self.name),
        ]
        for event in events[: self.after if failure else None]:
            yield event
        if failure:
            raise failure
        content = [THOUGHT, {"type": "text", "text": self.name}]
        yield ModelResponse(content, "end_turn", ModelUsage())

    async def relay(self, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
        self.relayed.append((path, body))
        if self.failures:
            raise self.failures.pop(0)
        status = self.statuses.pop(0) if self.statuses else 200

        async def chunks() -> Any:
            yield self.name.encode()

        async def close() -> None:
            self.closed += 1

        return Relayed(status, [], chunks(), close)

    async def check(self) -> list[Finding]:
        return [Finding("model provider", "error", self.name)]

    async def close(self) -> None:
        self.closed += 1


TABLE = RouteTable.model_validate(
    {
        "models": [
            {"id": "first", "upstream": "up-1", "fallbacks": ["second", "third"]},
            {"id": "second", "upstream": "up-2"},
            {"id": "third"},
        ]
    }
)
OVERLOADED = ModelError("overloaded", "busy")


class World:
    def __init__(self, *failing: tuple[ModelError, ...], after: int = 0) -> None:
        names = ("one", "two", "three")
        failing = (*failing, (), (), ())
        self.fakes = [
            Fake(name, *fails, after=after) for name, fails in zip(names, failing, strict=False)
        ]
        self.default = Fake("default")
        self.model = RoutedModel(TABLE, self.fakes, self.default)

    async def answer(self, model: str) -> ModelResponse:
        last = (await sample(self.model, asking(says("hi"), model=model)))[-1]
        assert isinstance(last, ModelResponse)
        return last


async def test_each_model_goes_its_way_under_its_upstream_name() -> None:
    world = World()
    assert (await world.answer("first")).content[1]["text"] == "one"
    assert world.fakes[0].asked[0].model == "up-1"
    assert (await world.answer("third")).content[1]["text"] == "three"
    assert world.fakes[2].asked[0].model == "third"
    other = await world.answer("claude-opus-5")
    assert other.content == [THOUGHT, {"type": "text", "text": "default"}]
    assert other.billed_as is None
    assert world.default.asked[0].model == "claude-opus-5"


@pytest.mark.parametrize("kind", ["overloaded", "server", "connection"])
async def test_fallbacks_are_tried_in_order_and_are_billed_as_themselves(kind: Any) -> None:
    world = World((ModelError(kind, "x"),), (OVERLOADED,))
    answer = await world.answer("first")
    assert answer.billed_as == "third"
    assert answer.content == [{"type": "text", "text": "three"}]
    assert [len(fake.asked) for fake in world.fakes] == [1, 1, 1]
    assert world.fakes[1].asked[0].model == "up-2"


@pytest.mark.parametrize("kind", ["rate_limited", "authentication", "billing", "invalid_request"])
async def test_other_failures_are_the_client_s_to_know(kind: Any) -> None:
    world = World((ModelError(kind, "no"),))
    with pytest.raises(ModelError, match="no"):
        await world.answer("first")
    assert world.fakes[1].asked == []


async def test_no_other_model_finishes_half_an_answer() -> None:
    world = World((OVERLOADED,), after=3)
    with pytest.raises(ModelError):
        await world.answer("first")
    assert world.fakes[1].asked == []


async def test_when_all_fail_the_last_failure_is_told() -> None:
    world = World((OVERLOADED,), (OVERLOADED,), (ModelError("server", "the last"),))
    with pytest.raises(ModelError, match="the last"):
        await world.answer("first")


async def test_thoughts_of_one_model_are_never_shown_to_another() -> None:
    world = World((OVERLOADED,))
    history = [
        says("a"),
        {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "plain"},
        says("c"),
    ]
    events = await sample(world.model, asking(*history, model="first"))
    assert THOUGHT in world.fakes[0].asked[0].messages[1]["content"]
    assert world.fakes[1].asked[0].messages[1]["content"] == [{"type": "text", "text": "b"}]
    assert world.fakes[1].asked[0].messages[2]["content"] == "plain"
    assert BlockStarted(0, "thinking") not in events
    assert TextDelta(1, "two") in events


async def test_relayed_requests_take_the_same_ways() -> None:
    world = World()
    body = orjson.dumps({"model": "first", "messages": []})
    answer = await world.model.relay("/v1/messages", body, {})
    assert [chunk async for chunk in answer.body] == [b"one"]
    assert orjson.loads(world.fakes[0].relayed[0][1]) == {"model": "up-1", "messages": []}
    untouched = b'{"model": "third" , "x":1}'
    await world.model.relay("/v1/messages", untouched, {})
    assert world.fakes[2].relayed == [("/v1/messages", untouched)]


async def test_a_relayed_request_falls_back_before_anything_is_passed_on() -> None:
    world = World((), (ModelError("connection", "gone"),))
    world.fakes[0].statuses = [529]
    answer = await world.model.relay("/v1/messages", b'{"model":"first"}', {})
    assert [chunk async for chunk in answer.body] == [b"three"]
    assert world.fakes[0].closed == 1
    world.fakes[0].statuses = [400]
    assert (await world.model.relay("/v1/messages", b'{"model":"first"}', {})).status == 400
    world.fakes[0].failures = [ModelError("billing", "bill")]
    with pytest.raises(ModelError, match="bill"):
        await world.model.relay("/v1/messages", b'{"model":"first"}', {})


async def test_checks_name_the_route_and_the_default_only_warns() -> None:
    findings = await World().model.check()
    assert [f.detail for f in findings] == [
        "route first: one", "route second: two", "route third: three", "default"
    ]  # fmt: skip
    assert [f.status for f in findings] == ["error", "error", "error", "warning"]
    everything = RouteTable.model_validate({"models": [{"id": "*"}]})
    only = RoutedModel(everything, [Fake("all")], Fake("default"))
    assert [f.detail for f in await only.check()] == ["route *: all"]


async def test_closing_closes_all() -> None:
    world = World()
    await world.model.close()
    assert [fake.closed for fake in (*world.fakes, world.default)] == [1, 1, 1, 1]


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with served(ScriptedHttp(ScriptedModel(), api_key="sk-right-0123456789")) as url:
        yield url


def settings(folder: Path, text: str) -> Settings:
    path = folder / "models.toml"
    path.write_text(text)
    return Settings(models=path, model="scripted", scripted_latency=0)


async def test_a_route_over_http_with_its_own_key(tmp_path: Path, upstream: str) -> None:
    table = f'[[models]]\nid="mine"\nbase_url="{upstream}"\napi_key="sk-right-0123456789"\n'
    model = build_model(settings(tmp_path, table))
    last = (await sample(model, asking(says("/say over there"), model="mine")))[-1]
    assert isinstance(last, ModelResponse)
    assert last.content[-1]["text"] == "over there"
    assert {finding.status for finding in await model.check()} == {"ok"}
    await model.close()


async def test_a_wrong_key_names_the_route(tmp_path: Path, upstream: str) -> None:
    table = f'[[models]]\nid="mine"\nbase_url="{upstream}"\napi_key="sk-wrong-0123456789"\n'
    model = build_model(settings(tmp_path, table))
    with pytest.raises(ModelError, match="the route 'mine' of FREEHOLD_MODELS") as caught:
        await sample(model, asking(says("x"), model="mine"))
    assert "sk-wrong" not in str(caught.value)
    assert "error" in {finding.status for finding in await model.check()}
    await model.close()


async def test_a_server_that_is_down_is_replaced_by_a_script(tmp_path: Path) -> None:
    table = """
[[models]]
id = "claude-opus-5"
base_url = "http://127.0.0.1:9"
fallbacks = ["spare"]
[[models]]
id = "spare"
scripted = true
"""
    model = build_model(settings(tmp_path, table))
    last = (await sample(model, asking(says("/say spare"), model="claude-opus-5")))[-1]
    assert isinstance(last, ModelResponse)
    assert (last.content[-1]["text"], last.billed_as) == ("spare", "spare")
    await model.close()
