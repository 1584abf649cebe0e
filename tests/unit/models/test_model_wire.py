"""Requests on the wire: what is cached never changes, and nothing of the caller's is touched."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.model_catalog import describe
from freehold.errors import ModelError
from freehold.models import wire
from freehold.ports.model import ModelRequest

Json = dict[str, Any]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
TEXT_BLOCKS = TEXTS.map(lambda text: {"type": "text", "text": text})
IMAGES = st.just({"type": "image", "source": {"type": "base64", "data": "aGk="}})
USER_BLOCKS = st.one_of(
    TEXT_BLOCKS,
    IMAGES,
    TEXTS.map(lambda text: {"type": "tool_result", "tool_use_id": "t", "content": text}),
)
ASSISTANT_BLOCKS = st.one_of(
    TEXT_BLOCKS,
    TEXTS.map(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}),
    TEXTS.map(lambda text: {"type": "tool_use", "id": "t", "name": "bash", "input": {"a": text}}),
)
USER_CONTENT = st.one_of(TEXTS, st.lists(USER_BLOCKS, min_size=1, max_size=30))
TURNS = st.lists(
    st.tuples(
        st.lists(USER_CONTENT, min_size=1, max_size=2),
        st.lists(ASSISTANT_BLOCKS, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=6,
)
TOOLS = st.lists(
    TEXTS.map(lambda text: {"name": "bash", "description": text, "input_schema": {}}), max_size=3
)
SYSTEM = st.lists(TEXT_BLOCKS, max_size=2)


def unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if isinstance(value, dict):
        return {name: unmarked(item) for name, item in value.items() if name != "cache_control"}
    return value


def flat(body: Json, *, through_last_mark: bool) -> bytes:
    """The request as the provider compares it: tools, system, then block after block, no marks."""
    parts: list[tuple[Any, bool]] = []
    for section in ("tools", "system"):
        parts += [([section, block], "cache_control" in block) for block in body.get(section, [])]
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        parts += [([message["role"], block], "cache_control" in block) for block in content]
    if through_last_mark:
        last = max((at for at, (_, mark) in enumerate(parts) if mark), default=-1)
        parts = parts[: last + 1]
    return b"".join(orjson.dumps(unmarked(part)) for part, _ in parts)


def marks(body: Json) -> int:
    return orjson.dumps(body).count(b'"cache_control"')


def growing(turns: list[tuple[list[Any], list[Json]]]) -> list[list[Json]]:
    """The message lists of a conversation's successive requests."""
    messages: list[Json] = []
    requests = []
    for asked, answered in turns:
        messages = [*messages, *({"role": "user", "content": content} for content in asked)]
        requests.append(messages)
        messages = [*messages, {"role": "assistant", "content": answered}]
    return requests


@settings(max_examples=150, deadline=None)
@given(turns=TURNS, tools=TOOLS, system=SYSTEM)
def test_each_request_extends_the_one_before_through_its_last_breakpoint(
    turns: list[tuple[list[Any], list[Json]]], tools: list[Json], system: list[Json]
) -> None:
    before: Json | None = None
    for messages in growing(turns):
        request = ModelRequest("claude-opus-5-5", messages, system=system, tools=tools)
        untouched = copy.deepcopy((messages, tools, system))
        body = orjson.loads(wire.encode(request))
        assert (messages, tools, system) == untouched
        assert unmarked(body["messages"]) == orjson.loads(
            orjson.dumps(unmarked_texts(body, messages))
        )
        assert marks(body) <= 4
        if before is not None:
            cached = flat(before, through_last_mark=True)
            assert flat(body, through_last_mark=False).startswith(cached)
            # The provider looks back from a mark 20 blocks only: one must stand exactly there.
            assert flat(body, through_last_mark=True).startswith(cached)
            assert cached in boundaries(body) or cached == b""
        before = body


def unmarked_texts(body: Json, messages: list[Json]) -> list[Json]:
    """The messages, with those texts in long form that had to carry a mark."""
    return [
        {"role": "user", "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message["content"], str) and isinstance(sent["content"], list)
        else message
        for message, sent in zip(messages, body["messages"], strict=True)
    ]


def boundaries(body: Json) -> list[bytes]:
    """What stands before each mark, the mark's block included."""
    found = []
    whole = copy.deepcopy(body)
    while (through := flat(whole, through_last_mark=True)) not in found:
        found.append(through)
        drop_last_mark(whole)
    return found


def drop_last_mark(body: Json) -> None:
    for message in reversed(body["messages"]):
        if isinstance(message["content"], list):
            for block in reversed(message["content"]):
                if block.pop("cache_control", None):
                    return
    for section in ("system", "tools"):
        for block in reversed(body.get(section, [])):
            if block.pop("cache_control", None):
                return


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user(text("a"))], [0]),
        ([user(text("a")), assistant(text("b")), user(text("c"))], [0, 2]),
        ([user(text("a")), assistant(text("b")), user(text("c")), user(text("d"))], [0, 3]),
        (
            [user(text("a")), user(text("b")), assistant(text("c")), user(text(" "))],
            [0, 1],
        ),
        (
            [
                user(text("a")),
                assistant(text("b")),
                user(text("c")),
                assistant(text("d")),
                user(text("e")),
            ],
            [2, 4],
        ),
        (
            [
                user(text("a")),
                assistant(text("b")),
                user(text("c")),
                {"role": "system", "content": [text("note")]},
            ],
            [0, 2],
        ),
    ],
)
def test_where_the_breakpoints_stand(messages: list[Json], expected: list[int]) -> None:
    assert wire.breakpoints(messages) == expected


def test_a_model_that_takes_no_marks_gets_none() -> None:
    request = ModelRequest(
        "llama4", [user(text("a"))], system=[text("s")], tools=[{"name": "bash"}]
    )
    assert marks(wire.body(request)) == 0


def test_a_mark_never_stands_on_thinking_or_on_blank_text() -> None:
    content = [text("a"), {"type": "thinking", "thinking": "t", "signature": "s"}, text(" ")]
    body = wire.body(ModelRequest("claude-opus-5", [user(*content)]))
    assert [("cache_control" in block) for block in body["messages"][0]["content"]] == [
        True,
        False,
        False,
    ]


def test_text_that_is_no_unicode_is_an_error_of_the_request() -> None:
    with pytest.raises(ModelError, match="cannot be written as JSON") as caught:
        wire.encode(ModelRequest("claude-opus-5", [user(text("\ud83d"))]))
    assert caught.value.kind == "invalid_request"


def test_a_model_without_eyes_is_told_of_images_and_shown_none() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}
    asked: Json = {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    messages = [
        asked,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]},
        {"role": "user", "content": [result]},
    ]
    before = copy.deepcopy(messages)
    request = ModelRequest(model="small", system=[], tools=[], messages=messages)
    seeing = describe("small")
    assert wire.body(request, seeing)["messages"] == messages
    shown = wire.body(request, replace(seeing, images=False))["messages"]
    assert "image/png" not in str(shown)
    assert shown[0]["content"][1] == asked["content"][1]
    assert shown[0]["content"][0]["type"] == "text"
    assert shown[2]["content"][0]["content"] == [shown[0]["content"][0]]
    assert messages == before
