"""Previews of messages in the making (spec 6.9), held to the SDK's own accumulator."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.lib.sessions import accumulate_managed_agents_event

from freehold.api.events import service
from freehold.ports.dispatcher import Preview
from tests.support.running import BETA, Served


def _session(client: Anthropic) -> str:
    agent = client.beta.agents.create(name="p", model="claude-opus-5")
    environment = client.beta.environments.create(name="p")
    return client.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def _turn(client: Anthropic, session_id: str, text: str, deltas: list[Any]) -> list[Any]:
    events: list[Any] = []
    with client.beta.sessions.events.stream(session_id, event_deltas=deltas) as stream:
        client.beta.sessions.events.send(
            session_id,
            events=[{"type": "user.message", "content": [{"type": "text", "text": text}]}],
        )
        for event in stream:
            events.append(event)
            if event.type == "session.status_idle":
                return events
    raise AssertionError("the stream ended early")


def test_deltas_add_up_to_the_message_they_announce(client: Anthropic) -> None:
    session_id = _session(client)
    events = _turn(client, session_id, "/say one\n/say two three four", ["agent.message"])
    starts = [event for event in events if event.type == "event_start"]
    deltas = [event for event in events if event.type == "event_delta"]
    (message,) = [event for event in events if event.type == "agent.message"]
    assert [start.event.id for start in starts] == [message.id]
    assert {delta.event_id for delta in deltas} == {message.id}
    snapshot: Any = None
    for event in events:
        own_id = getattr(event, "id", None)
        if event.type in {"event_start", "event_delta"} or own_id == message.id:
            snapshot = accumulate_managed_agents_event(snapshot, event)
    assert snapshot.to_dict() == message.to_dict()
    for place, block in enumerate(message.content):
        shown = "".join(d.delta.content.text for d in deltas if d.delta.index == place)
        assert shown == block.text
    order = [event.type for event in events]
    assert order.index("span.model_request_start") < order.index("event_start")
    last_delta = max(i for i, kind in enumerate(order) if kind == "event_delta")
    assert last_delta < order.index("agent.message")
    assert "event_start" not in {e.type for e in client.beta.sessions.events.list(session_id)}


def test_thinking_is_announced_and_never_shown(client: Anthropic) -> None:
    events = _turn(
        client, _session(client), "/think deep\n/say done", ["agent.thinking", "agent.message"]
    )
    kinds = [e.event.type for e in events if e.type == "event_start"]
    assert kinds == ["agent.thinking", "agent.message"]
    started = {e.event.id for e in events if e.type == "event_start"}
    assert started == {e.id for e in events if e.type in {"agent.thinking", "agent.message"}}
    (message,) = [e for e in events if e.type == "agent.message"]
    assert {e.event_id for e in events if e.type == "event_delta"} == {message.id}


def test_nobody_gets_what_they_did_not_ask_for(client: Anthropic) -> None:
    events = _turn(client, _session(client), "/say plain", [])
    assert not {e.type for e in events} & {"event_start", "event_delta"}
    only = _turn(client, _session(client), "/think t\n/say m", ["agent.thinking"])
    assert [e.event.type for e in only if e.type == "event_start"] == ["agent.thinking"]
    assert not [e for e in only if e.type == "event_delta"]


def test_a_request_that_fails_closes_its_preview_with_the_span(server: Served) -> None:
    client = server.client()
    session_id = _session(client)
    events = _turn(client, session_id, "/say a\n/run true\n/say b", ["agent.message"])
    ends = [i for i, e in enumerate(events) if e.type == "span.model_request_end"]
    for i, event in enumerate(events):
        if event.type in {"event_start", "event_delta"}:
            assert any(end > i for end in ends)


def test_who_comes_late_sees_nothing_of_what_had_begun(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message may be in the log already: nothing would ever close its preview."""
    client = server.client()
    session_id = _session(client)
    begin = service.stream_start
    fanout = server.app.state.services.fanout

    async def slow(*arguments: Any) -> int:
        fanout.preview(session_id, Preview(0, "sevt_old", "agent.message"))
        start = await begin(*arguments)
        fanout.preview(session_id, Preview(0, "sevt_old", "agent.message", 0, "all of it"))
        return start

    monkeypatch.setattr(service, "stream_start", slow)
    events = _turn(client, session_id, "/say new", ["agent.message"])
    (message,) = [event for event in events if event.type == "agent.message"]
    started = [event.event.id for event in events if event.type == "event_start"]
    assert started == [message.id]
    assert {e.event_id for e in events if e.type == "event_delta"} == {message.id}


@pytest.mark.parametrize("value", ["agent.tool_use", "x", ""])
def test_a_bad_value_is_a_400(server: Served, value: str) -> None:
    session_id = _session(server.client())
    answer = httpx2.get(
        f"{server.url}/v1/sessions/{session_id}/events/stream",
        params={"event_deltas[]": value},
        headers=BETA,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
