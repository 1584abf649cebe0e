"""A session on a real language model that runs on this very machine: ``make test-local-model``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic.lib.sessions import accumulate_managed_agents_event

from tests.local_model.llama import serve_weights
from tests.support.running import Served, serve

ENVIRONMENT = os.environ.get("FREEHOLD_TEST_LOCAL_MODEL", "")
"""The virtual environment that holds the model's packages."""

pytestmark = pytest.mark.skipif(not ENVIRONMENT, reason="`make test-local-model` runs this")

TABLE = """
[[models]]
id = "claude-*"
base_url = "{url}"
upstream = "smollm2"
context_window = 8192
max_output_tokens = 256
price = {{ input = 0, output = 0 }}
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose Claude models are all the one on this machine."""
    folder = tmp_path_factory.mktemp("local")
    with serve_weights(Path(ENVIRONMENT), folder / "llama.log") as url:
        table = folder / "models.toml"
        table.write_text(TABLE.format(url=url))
        with serve(folder / "data", models=table) as served:
            yield served


def test_a_session_with_previews_and_usage(local: Served) -> None:
    client = local.client(timeout=120)
    agent = client.beta.agents.create(
        name="Geographer", model="claude-sonnet-5", system="Answer in one short sentence."
    )
    environment = client.beta.environments.create(name="local")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    seen: list[Any] = []
    with client.beta.sessions.events.stream(session.id, event_deltas=["agent.message"]) as stream:
        asked = {"type": "text", "text": "What is the capital of France?"}
        client.beta.sessions.events.send(
            session.id,
            events=[{"type": "user.message", "content": [asked]}],  # type: ignore[list-item]
        )
        for event in stream:
            seen.append(event)
            if event.type == "session.status_idle":
                break
    assert seen[-1].stop_reason.type == "end_turn"
    (message,) = [event for event in seen if event.type == "agent.message"]
    print("\n", message.content[0].text)
    assert "Paris" in message.content[0].text
    deltas = [event for event in seen if event.type == "event_delta"]
    assert len(deltas) > 1
    snapshot: Any = None
    for event in seen:
        if event.type in {"event_start", "event_delta"}:
            snapshot = accumulate_managed_agents_event(snapshot, event)
    assert snapshot.content[0].text == message.content[0].text
    done = client.beta.sessions.retrieve(session.id)
    assert done.usage.input_tokens
    assert done.usage.output_tokens
    print(done.usage.to_json())


def test_a_second_turn_carries_the_first(local: Served) -> None:
    """Judged by what was read, not by what was said: a model this small remembers little."""
    client = local.client(timeout=120)
    agent = client.beta.agents.create(
        name="Listener", model="claude-haiku-4-5", system="Answer in one short sentence."
    )
    environment = client.beta.environments.create(name="local")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    read: list[int] = []
    for text in ("What is the capital of France?", "And of Italy?"):
        with client.beta.sessions.events.stream(session.id) as stream:
            client.beta.sessions.events.send(
                session.id,
                events=[{"type": "user.message", "content": [{"type": "text", "text": text}]}],
            )
            for event in stream:
                if event.type == "span.model_request_end":
                    usage = event.model_usage
                    read.append(usage.input_tokens + usage.cache_read_input_tokens)
                if event.type == "session.status_idle":
                    break
    first, second = read
    assert second > first


def test_other_calls_pass_through(local: Served) -> None:
    client = local.client(timeout=120)
    message = client.messages.create(
        model="claude-sonnet-5",
        max_tokens=64,
        system="Answer in one short sentence.",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
    )
    assert message.content[0].type == "text"
    assert "Paris" in message.content[0].text
