"""Failed model requests: told, waited for and tried again, also by another server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from anthropic import Anthropic

from tests.support.running import serve

RESCHEDULED = ["session.thread_status_rescheduled", "session.status_rescheduled"]


def _session(client: Anthropic) -> str:
    agent = client.beta.agents.create(name="r", model="claude-opus-5")
    environment = client.beta.environments.create(name="r")
    return client.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def _say(client: Anthropic, session_id: str, text: str) -> None:
    message: Any = {"type": "user.message", "content": [{"type": "text", "text": text}]}
    client.beta.sessions.events.send(session_id, events=[message])


def _until(client: Anthropic, session_id: str, status: str) -> list[Any]:
    deadline = time.monotonic() + 30
    while client.beta.sessions.retrieve(session_id).status != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return list(client.beta.sessions.events.list(session_id))


def test_a_transient_failure_is_retried_until_it_passes(tmp_path: Path) -> None:
    with serve(tmp_path / "data", retry_base=0.02) as server:
        client = server.client()
        session_id = _session(client)
        _say(client, session_id, "/fail overloaded x2 busy\n/say made it")
        events = _until(client, session_id, "idle")
    errors = [event.error for event in events if event.type == "session.error"]
    assert [error.type for error in errors] == ["model_overloaded_error"] * 2
    assert {error.retry_status.type for error in errors} == {"retrying"}
    types = [event.type for event in events]
    assert types.count("session.status_rescheduled") == 2
    at = types.index("session.status_rescheduled")
    assert types[at - 1 : at + 3] == [
        *RESCHEDULED,
        "session.status_running",
        "session.thread_status_running",
    ]
    assert events[-1].stop_reason.type == "end_turn"


def test_retries_end_and_the_session_goes_on_with_the_next_message(tmp_path: Path) -> None:
    with serve(tmp_path / "data", retry_base=0.01, retry_limit=2) as server:
        client = server.client()
        session_id = _session(client)
        _say(client, session_id, "/fail server x99")
        events = _until(client, session_id, "idle")
        states = [e.error.retry_status.type for e in events if e.type == "session.error"]
        assert states == ["retrying", "retrying", "exhausted"]
        assert events[-1].stop_reason.type == "retries_exhausted"
        _say(client, session_id, "/say back")
        assert _until(client, session_id, "idle")[-1].stop_reason.type == "end_turn"


def test_a_restarted_server_keeps_the_appointment(tmp_path: Path) -> None:
    with serve(tmp_path / "data", retry_base=60) as server:
        client = server.client()
        session_id = _session(client)
        _say(client, session_id, "/fail overloaded\n/say later")
        _until(client, session_id, "rescheduling")
    with serve(tmp_path / "data") as server:
        client = server.client()
        assert client.beta.sessions.retrieve(session_id).status == "rescheduling"
        client.beta.sessions.events.send(session_id, events=[{"type": "user.interrupt"}])
        events = _until(client, session_id, "idle")
        assert [event.type for event in events][-4:] == [
            "user.interrupt",
            "session.thread_status_idle",
            "session.usage",
            "session.status_idle",
        ]


def test_the_appointment_survives_a_restart_and_is_kept(tmp_path: Path) -> None:
    with serve(tmp_path / "data", retry_base=2) as server:
        client = server.client()
        session_id = _session(client)
        _say(client, session_id, "/fail overloaded\n/say later")
        _until(client, session_id, "rescheduling")
    with serve(tmp_path / "data", retry_base=0.01) as server:
        events = _until(server.client(), session_id, "idle")
        assert events[-1].stop_reason.type in {"end_turn", "retries_exhausted"}
        assert [e.type for e in events].count("session.status_rescheduled") >= 1
