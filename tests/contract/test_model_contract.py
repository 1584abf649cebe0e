"""What every model adapter does: the scripted one as it is, and the SDK's client over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.support.models import KEY, asking, respond, results, sample, says, served

from freehold.errors import ModelError
from freehold.models import ScriptedModel
from freehold.models.scripted.http import ScriptedHttp
from freehold.models.upstream import UpstreamModel
from freehold.ports.model import (
    BlockStarted,
    Model,
    ModelEvent,
    ModelResponse,
    TextDelta,
)


@pytest.fixture(scope="module")
def scripted_url() -> Iterator[str]:
    with served(ScriptedHttp(api_key=KEY)) as url:
        yield url


@pytest.fixture(params=["scripted", "upstream"])
async def model(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    built: Model
    if request.param == "scripted":
        built = ScriptedModel()
    else:
        url = request.getfixturevalue("scripted_url")
        built = UpstreamModel(url, KEY, max_retries=0)
    yield built
    await built.close()


async def test_a_text_answer_streams_and_ends_with_the_whole(model: Model) -> None:
    text = "one two three four five six seven eight nine ten"
    events = await sample(model, asking(says(f"/say {text}")))
    assert events[0] == BlockStarted(0, "text")
    deltas = list(events[1:-1])
    assert all(isinstance(event, TextDelta) and event.index == 0 for event in deltas)
    assert len(deltas) > 1
    assert "".join(event.text for event in deltas if isinstance(event, TextDelta)) == text
    response = events[-1]
    assert isinstance(response, ModelResponse)
    assert response.content == [{"type": "text", "text": text}]
    assert response.stop_reason == "end_turn"
    assert response.stop_details is None
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0


async def test_thinking_comes_back_with_its_signature_and_is_taken_again(model: Model) -> None:
    first = says("/think Let me see.\n/say Looking\n/run ls\n/say Seen")
    events = await sample(model, asking(first))
    assert [event for event in events if isinstance(event, BlockStarted)] == [
        BlockStarted(0, "thinking"),
        BlockStarted(1, "text"),
        BlockStarted(2, "tool_use"),
    ]
    response = events[-1]
    assert isinstance(response, ModelResponse)
    thinking = response.content[0]
    assert thinking["thinking"] == "Let me see."
    assert thinking["signature"]
    said = {"role": "assistant", "content": response.content}
    closing = await respond(model, first, said, results(response))
    assert closing.content == [{"type": "text", "text": "Seen"}]

    forged = {
        "role": "assistant",
        "content": [{**thinking, "thinking": "!"}, *response.content[1:]],
    }
    with pytest.raises(ModelError, match="Invalid `signature`") as caught:
        await respond(model, first, forged, results(response))
    assert caught.value.kind == "invalid_request"


async def test_tool_calls_in_one_answer_then_in_the_next(model: Model) -> None:
    first = says('/run ls -l\n/tool read {"file_path": "/workspace/ä.txt"}\n/then\n/run pwd')
    one = await respond(model, first)
    assert one.stop_reason == "tool_use"
    assert [(block["name"], block["input"]) for block in one.content] == [
        ("bash", {"command": "ls -l"}),
        ("read", {"file_path": "/workspace/ä.txt"}),
    ]
    so_far = [first, {"role": "assistant", "content": one.content}, results(one)]
    two = await respond(model, *so_far)
    assert [block["input"] for block in two.content] == [{"command": "pwd"}]
    so_far += [{"role": "assistant", "content": two.content}, results(two, "/workspace")]
    three = await respond(model, *so_far)
    assert three.stop_reason == "end_turn"
    assert "/workspace" in three.content[0]["text"]
    ids = [block["id"] for block in [*one.content, *two.content]]
    assert len(set(ids)) == len(ids)


async def test_a_large_tool_input_arrives_whole(model: Model) -> None:
    content = "".join(f"line {number} “quoted” \\ \U0001f600\n" for number in range(2_000))
    first = says(f"/tool write {json.dumps({'file_path': '/workspace/a', 'content': content})}")
    response = await respond(model, first)
    assert response.content[0]["input"] == {"file_path": "/workspace/a", "content": content}


async def test_the_same_request_gets_the_same_answer(model: Model) -> None:
    first = says("/think a\n/run b")
    assert await respond(model, first) == await respond(model, first)


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        ("overloaded", True),
        ("rate_limited", True),
        ("server", True),
        ("connection", True),
        ("authentication", False),
        ("billing", False),
        ("invalid_request", False),
    ],
)
@pytest.mark.parametrize("before", ["", "/say some words first\n"])
async def test_every_kind_of_failure(model: Model, kind: str, retryable: bool, before: str) -> None:
    with pytest.raises(ModelError) as caught:
        await sample(model, asking(says(f"{before}/fail {kind} because of {KEY}")))
    assert caught.value.kind == kind
    assert caught.value.retryable is retryable
    if kind != "connection":
        assert "because of" in caught.value.message


async def test_text_may_come_before_a_failure(model: Model) -> None:
    seen: list[ModelEvent] = []
    with pytest.raises(ModelError):
        async for event in model.stream(asking(says("/say half\n/fail overloaded"))):
            seen.append(event)
    assert seen == [BlockStarted(0, "text"), TextDelta(0, "half")]


async def test_a_rate_limit_says_when_to_come_back(model: Model) -> None:
    with pytest.raises(ModelError) as caught:
        await sample(model, asking(says("/fail rate_limited retry_after=12.5 slow down")))
    assert caught.value.retry_after == 12.5


async def test_a_counted_failure_ends(model: Model) -> None:
    request = asking(says(f"/fail overloaded x2\n/say after {type(model).__name__}"))
    for _ in range(2):
        with pytest.raises(ModelError):
            await sample(model, request)
    response = (await sample(model, request))[-1]
    assert isinstance(response, ModelResponse)
    assert response.content[0]["text"].startswith("after")


async def test_a_refusal_is_an_answer(model: Model) -> None:
    response = await respond(model, says("/fail refusal cyber Not that."))
    assert response.stop_reason == "refusal"
    assert response.content == []
    assert response.stop_details == {
        "type": "refusal",
        "category": "cyber",
        "explanation": "Not that.",
    }


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "at least one message"),
        ([says("  ")], "non-whitespace text"),
        ([says("a"), {"role": "assistant", "content": [{"type": "text", "text": "b"}]}], "prefill"),
        (
            [
                says("a"),
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t1", "name": "bash", "input": {}}],
                },
                says("b"),
            ],
            "without `tool_result` blocks",
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t1", "content": []}],
                }
            ],
            "unexpected `tool_use_id`",
        ),
    ],
)
async def test_a_broken_conversation_is_refused(
    model: Model, messages: list[dict[str, Any]], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        await sample(model, asking(*messages))
    assert caught.value.kind == "invalid_request"


async def test_what_is_cached_grows_with_the_conversation(model: Model) -> None:
    system = [{"type": "text", "text": "You are thorough. " * 400}]
    messages = [says("/run one\n/then\n/run two\n/then\n/run three")]
    before = None
    for _ in range(3):
        events = await sample(model, asking(*messages, system=system))
        response = events[-1]
        assert isinstance(response, ModelResponse)
        usage = response.usage
        if before is None:
            assert usage.cache_read_input_tokens == 0
        else:
            assert usage.cache_read_input_tokens == (
                before.cache_read_input_tokens + before.cache_creation_input_tokens
            )
        before = usage
        messages += [{"role": "assistant", "content": response.content}, results(response)]


async def test_closing_early_leaves_the_model_usable(model: Model) -> None:
    stream = model.stream(asking(says("/say a b c d e f g h i j k l m n o p")))
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert (await respond(model, says("/say on"))).content == [{"type": "text", "text": "on"}]


async def test_an_interrupted_wait_is_given_up(model: Model) -> None:
    task = asyncio.create_task(sample(model, asking(says("/wait 600\n/say late"))))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_any_model_id_is_answered(model: Model) -> None:
    for name in ("qwen3:8b", "claude-haiku-4-5", "anthropic/claude-sonnet-5"):
        events = await sample(model, asking(says("/say hi"), model=name))
        assert isinstance(events[-1], ModelResponse)


async def test_check_finds_it_well(model: Model) -> None:
    assert {finding.status for finding in await model.check()} == {"ok"}
