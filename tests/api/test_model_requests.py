"""What a session's requests say to the model's provider: the other half of what clients see."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.models.scripted.model import ScriptedModel
from freehold.models.scripted.yaml_schema import parse
from freehold.models.scripted.yaml_script import YamlScript
from tests.api.conftest import said, turn
from tests.support.mcp_servers import mcp_server
from tests.support.models import KEY, Recorder, served
from tests.support.running import serve

Json = dict[str, Any]
Session = Callable[..., str]


@contextmanager
def at_work(
    folder: Path, script: str | None = None
) -> Iterator[tuple[Recorder, Anthropic, Session]]:
    """A server whose provider remembers what it is asked, a client, and a maker of sessions."""
    model = None
    if script is not None:
        model = ScriptedModel(YamlScript(parse(script, "test"), "test"))
    recorder = Recorder(model)
    with (
        served(recorder) as url,
        serve(
            folder / "data",
            model="upstream",
            model_base_url=url,
            model_api_key=KEY,
            retry_base=0.01,
        ) as running,
        running.client() as sdk,
    ):
        environment = sdk.beta.environments.create(name="e")

        def session(**fields: Any) -> str:
            given = {"name": "a", "model": "claude-opus-5-5", **fields}
            agent = sdk.beta.agents.create(**given)
            made = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
            return made.id

        yield recorder, sdk, session


def blocks(body: Json) -> list[tuple[bytes, bool]]:
    """The request as a provider compares it, piece by piece, and where its breakpoints are."""
    pieces = [("tools", tool) for tool in body.get("tools", [])]
    pieces += [("system", block) for block in body.get("system", [])]
    for message in body["messages"]:
        pieces += [(message["role"], block) for block in message["content"]]
    found = []
    for place, piece in pieces:
        plain = {name: value for name, value in piece.items() if name != "cache_control"}
        found.append((json.dumps([place, plain]).encode(), "cache_control" in piece))
    return found


def cached(body: Json) -> bytes:
    """All up to the last breakpoint."""
    pieces = blocks(body)
    end = max(place for place, (_, marked) in enumerate(pieces) if marked)
    return b"".join(piece for piece, _ in pieces[: end + 1])


def lookback(before: Json, after: Json) -> int:
    """How many blocks a provider must look back from a breakpoint to find what it has cached."""
    length = len(cached(before))
    distances = []
    ends = 0
    place = None
    for number, (piece, marked) in enumerate(blocks(after)):
        ends += len(piece)
        if ends == length:
            place = number
        if marked and place is not None:
            distances.append(number - place)
    return min(distances)


def whole(body: Json) -> bytes:
    return b"".join(piece for piece, _ in blocks(body))


def test_each_request_is_a_byte_extension_of_the_one_before(tmp_path: Path) -> None:
    with mcp_server() as door, at_work(tmp_path) as (recorder, sdk, session):
        session_id = session(
            system="You help.",
            mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}],
            tools=[
                {
                    "type": "agent_toolset_20260401",
                    "configs": [{"name": "write", "permission_policy": {"type": "always_ask"}}],
                },
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "things",
                    "default_config": {"permission_policy": {"type": "always_allow"}},
                },
                {
                    "type": "custom",
                    "name": "get_weather",
                    "description": "d",
                    "input_schema": {"type": "object"},
                },
            ],
        )
        turn(sdk, session_id, said("/think hm\n/run echo 1\n/run echo 2\n/then\n/run echo 3"))
        turn(sdk, session_id, said('/tool mcp__things__add {"a": 1, "b": 2}\n/then\n/run echo 4'))
        waiting = turn(sdk, session_id, said("/think which\n/tool get_weather\n/tool get_weather"))
        first, second = waiting[-1].stop_reason.event_ids
        answer: Json = {"type": "user.custom_tool_result"}
        image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
        sdk.beta.sessions.events.send(
            session_id,
            events=[{**answer, "custom_tool_use_id": second, "content": [image]}],  # type: ignore[list-item]
        )
        note = {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]}
        turn(sdk, session_id, {**answer, "custom_tool_use_id": first, "is_error": True}, note)
        asking = turn(sdk, session_id, said('/tool write {"file_path": "/workspace/a"}'))
        (call_id,) = asking[-1].stop_reason.event_ids
        denied = {"type": "user.tool_confirmation", "tool_use_id": call_id, "result": "deny"}
        turn(sdk, session_id, denied)
        turn(sdk, session_id, said("/fail refusal"))
        turn(sdk, session_id, said("/fail authentication"))
        turn(sdk, session_id, said("  "))
        turn(sdk, session_id, said("/say bye"), note)
        assert turn(sdk, session_id, said("/say and bye"))[-1].stop_reason.type == "end_turn"
    asked = recorder.bodies
    assert len(asked) > 12
    for before, after in itertools.pairwise(asked):
        assert whole(after).startswith(cached(before))
        # No further than providers do; what was answered is found at once.
        assert lookback(before, after) < 20
        if len(after["messages"]) > len(before["messages"]):
            assert lookback(before, after) == 0
        assert after["messages"][0] == {
            **before["messages"][0],
            "content": after["messages"][0]["content"],
        }
    for body in asked:
        assert sum(marked for _, marked in blocks(body)) <= 4
        assert {name: body[name] for name in body if name != "messages"} == {
            name: asked[0][name] for name in asked[0] if name != "messages"
        }


def test_thoughts_go_back_with_their_signatures(tmp_path: Path) -> None:
    with at_work(tmp_path) as (recorder, sdk, session):
        session_id = session(tools=[{"type": "agent_toolset_20260401"}])
        events = turn(sdk, session_id, said("/think what is one?\n/run echo 1\n/think so one"))
        turn(sdk, session_id, said("/say next"))
    assert [event.type for event in events].count("agent.thinking") == 2
    thoughts = [
        block
        for message in recorder.bodies[-1]["messages"]
        for block in message["content"]
        if block["type"] == "thinking"
    ]
    assert [thought["thinking"] for thought in thoughts] == ["what is one?", "so one"]
    assert all(thought["signature"] for thought in thoughts)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"id": "claude-opus-5-5", "effort": "xhigh", "speed": "fast"},
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "xhigh"},
                "speed": "fast",
            },
        ),
        # The greatest effort that the model has.
        (
            {"id": "claude-opus-4-6", "effort": "xhigh", "speed": "fast"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            {"id": "claude-opus-4-5", "effort": "max"},
            {
                "thinking": {"type": "enabled", "budget_tokens": 32_000},
                "output_config": {"effort": "high"},
            },
        ),
        (
            {"id": "claude-haiku-4-5", "effort": "low", "speed": "fast"},
            {"thinking": {"type": "enabled", "budget_tokens": 4_000}},
        ),
        ({"id": "qwen3:8b", "effort": "max", "speed": "fast"}, {}),
        (
            {"id": "claude-sonnet-5-5", "inference_geo": "us"},
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "high"},
                "inference_geo": "us",
            },
        ),
    ],
)
def test_what_a_model_does_not_take_is_left_out(
    tmp_path: Path, model: Json, expected: Json
) -> None:
    with at_work(tmp_path) as (recorder, sdk, session):
        assert turn(sdk, session(model=model), said("/say ok"))[-1].type == "session.status_idle"
    (body,) = recorder.bodies
    configured = ("thinking", "output_config", "speed", "inference_geo")
    assert {name: body[name] for name in configured if name in body} == expected
    betas = recorder.headers[0].get("anthropic-beta", "")
    assert ("fast-mode" in betas) == ("speed" in expected)


def test_blank_texts_are_taken_and_never_sent(tmp_path: Path) -> None:
    blank = {"type": "text", "text": " \n"}
    custom = {"type": "custom", "name": "c", "description": "d", "input_schema": {"type": "object"}}
    with at_work(tmp_path) as (recorder, sdk, session):
        session_id = session(tools=[custom])
        events = turn(sdk, session_id, {"type": "user.message", "content": [blank]})
        assert events[-1].stop_reason.type == "end_turn"
        assert [e.content[0].text for e in events if e.type == "user.message"] == [" \n"]
        waiting = turn(sdk, session_id, said("/tool c"))
        (call_id,) = waiting[-1].stop_reason.event_ids
        result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id}
        done = turn(sdk, session_id, {**result, "content": [blank]})
        assert done[-1].stop_reason.type == "end_turn"
    first, *_, last = recorder.bodies[-1]["messages"]
    assert [block["text"] for block in first["content"]] == ["(empty message)"]
    assert last["content"][0]["content"] == [{"type": "text", "text": "(no output)"}]


def test_system_messages_stand_at_the_end_of_what_the_user_says(tmp_path: Path) -> None:
    def note(text: str) -> Json:
        return {"type": "system.message", "content": [{"type": "text", "text": text}]}

    with at_work(tmp_path) as (recorder, sdk, session):
        session_id = session()
        turn(sdk, session_id, said("/fail authentication"), note("Be brief."))
        turn(sdk, session_id, said("/say ok"), note("Be kind."))
    shown = [
        (message["role"], [block["text"] for block in message["content"]])
        for message in recorder.bodies[-1]["messages"]
    ]
    assert shown == [
        ("user", ["/fail authentication", "/say ok"]),
        ("system", ["Be brief.", "Be kind."]),
    ]


def test_a_paused_answer_goes_back_as_it_is_and_is_gone_on_with(tmp_path: Path) -> None:
    script = """
        sequence:
          - {text: first half, stop_reason: pause_turn}
          - {text: second half}
          - {text: more}
    """
    with at_work(tmp_path, script) as (recorder, sdk, session):
        session_id = session()
        events = turn(sdk, session_id, said("go"))
        assert turn(sdk, session_id, said("on"))[-1].stop_reason.type == "end_turn"
    words = [event.content[0].text for event in events if event.type == "agent.message"]
    assert words == ["first half", "second half"]
    assert events[-1].stop_reason.type == "end_turn"
    paused = recorder.bodies[1]["messages"][-1]
    assert paused["role"] == "assistant"
    assert [block["type"] for block in paused["content"]] == ["text", "server_tool_use"]


def test_an_answer_cut_short_ends_the_turn_and_the_next_one_works(tmp_path: Path) -> None:
    script = """
        sequence:
          - {thinking: thought, text: cut off he, stop_reason: max_tokens}
          - {tool_uses: [{name: bash}], stop_reason: max_tokens}
          - {text: never mind}
    """
    with at_work(tmp_path, script) as (_, sdk, session):
        session_id = session(tools=[{"type": "agent_toolset_20260401"}])
        assert turn(sdk, session_id, said("go"))[-1].stop_reason.type == "end_turn"
        events = turn(sdk, session_id, said("on"))
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert result.is_error
    assert "command is required" in result.content[0].text
    assert events[-1].stop_reason.type == "end_turn"
