"""One server a module, the official SDK against it, and a bare client for what the SDK hides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.support.running import BETA, Served, serve

Make = Callable[..., Any]
_number = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for a whole module: tests make what they look at themselves."""
    with serve(tmp_path_factory.mktemp("api") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def sdk(shared: Served) -> Iterator[Anthropic]:
    """The official SDK, strict and without retries."""
    with shared.client() as client:
        yield client


@pytest.fixture(scope="module")
def http(shared: Served) -> Iterator[httpx.Client]:
    """Bare HTTP with a key and the beta header."""
    with httpx.Client(base_url=shared.url, headers=BETA, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def agent(sdk: Anthropic) -> Any:
    """An agent with the built-in tools."""
    return sdk.beta.agents.create(
        name="Helper",
        model="claude-opus-5",
        system="You help.",
        tools=[{"type": "agent_toolset_20260401"}],
    )


@pytest.fixture(scope="module")
def environment(sdk: Anthropic) -> Any:
    """A cloud environment without limits."""
    return sdk.beta.environments.create(name="plain")


@pytest.fixture
def session(sdk: Anthropic, agent: Any, environment: Any) -> Any:
    """An idle session."""
    return sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, title=f"session {next(_number)}"
    )


def refused(response: httpx.Response, status: int, message: str, **error: Any) -> dict[str, Any]:
    """Check an answer's status and the whole of its envelope; the ``error`` object."""
    body = response.json()
    assert (response.status_code, body["error"]["message"]) == (status, message)
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        405: "invalid_request_error",
        409: "conflict_error",
        413: "request_too_large",
    }
    assert body["type"] == "error"
    assert body["error"]["type"] == kinds[status]
    assert body["request_id"] == response.headers["request-id"]
    for name, value in error.items():
        assert body["error"].get(name) == value
    found: dict[str, Any] = body["error"]
    return found


def said(text: str) -> dict[str, Any]:
    """A ``user.message`` of text."""
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def turn(sdk: Anthropic, session_id: str, *events: dict[str, Any]) -> list[Any]:
    """Send events and collect what comes until the session is idle or over."""
    seen = []
    with sdk.beta.sessions.events.stream(session_id) as stream:
        sdk.beta.sessions.events.send(session_id, events=list(events))  # type: ignore[arg-type]
        for event in stream:
            seen.append(event)
            if event.type in ("session.status_idle", "session.status_terminated"):
                return seen
    return seen


@pytest.fixture
def running(sdk: Anthropic, session: Any) -> Iterator[Any]:
    """A session whose model takes its time, until the test is over."""
    with sdk.beta.sessions.events.stream(session.id) as stream:
        sdk.beta.sessions.events.send(session.id, events=[said("/wait 600")])  # type: ignore[list-item]
        for event in stream:
            if event.type == "span.model_request_start":
                break
        yield session
        sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
        for event in stream:
            if event.type in ("session.status_idle", "session.status_terminated"):
                break
