"""Web tools in sessions, through the official SDK (spec 12.6)."""
# ruff: noqa: E501 - in the table of errors a case is a line

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.app import create_app
from freehold.models import ScriptedModel
from freehold.ports.model import ModelEvent, ModelRequest
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.support.running import Served, ServerProcess, serve_app
from tests.support.web import Site, page, site_beside

WEB = {"web_search": "scripted", "trusted_networks": "127.0.0.0/8"}


class Listening(ScriptedModel):
    """The scripted model, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        async for event in super().stream(request):
            yield event


class Machines(ScriptedSandboxProvider):
    """Sandboxes, and how many were asked for."""

    asked = 0

    async def acquire(self, spec: Any) -> Any:
        self.asked += 1
        return await super().acquire(spec)


class World:
    """A server with its model and sandboxes."""

    def __init__(self, served: Served, model: Listening, machines: Machines) -> None:
        self.sdk = served.client()
        self.model = model
        self.machines = machines
        self._environment = self.sdk.beta.environments.create(name="plain").id

    def session(self, *configs: dict[str, Any], tools: Any = (), on: bool = False) -> str:
        """A session that has only the web tools, unless ``on``."""
        given = {config["name"]: config for config in configs}
        for name in ("web_fetch", "web_search"):
            given.setdefault(name, {"name": name})
            given[name] = {"enabled": True, **given[name]}
        toolset = {
            "type": "agent_toolset_20260401",
            "default_config": {"enabled": on},
            "configs": list(given.values()),
        }
        agent = self.sdk.beta.agents.create(
            name="Reader",
            model="claude-opus-5",
            tools=[toolset, *tools],  # type: ignore[list-item]
        )
        return self.sdk.beta.sessions.create(agent=agent.id, environment_id=self._environment).id

    def call(self, session_id: str, name: str, **arguments: Any) -> Any:
        """Have the model call a tool; the call's result."""
        events = turn(self.sdk, session_id, said(f"/tool {name} {json.dumps(arguments)}"))
        return next(event for event in events if event.type == "agent.tool_result")


def world(tmp: Path, **values: Any) -> Iterator[World]:
    model, machines = Listening(), Machines()
    settings = Settings(data_dir=tmp / "data", model="scripted", scripted_latency=0, **values)
    with serve_app(create_app(settings, model=model, sandboxes=machines)) as served:
        yield World(served, model, machines)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from world(tmp_path_factory.mktemp("web"), **WEB)


@pytest.fixture(scope="module")
def there() -> Iterator[Site]:
    answers = {
        "/": page("<title>Cats</title><p>Cats sit on <a href='/mats'>mats</a>."),
        "/mats": page("Mats are flat.", kind="text/plain; charset=utf-8"),
        "/long": page("x" * 200_000, kind="text/plain"),
        "/nul": page(b"a\0b", kind="text/plain"),
        "/empty": page("<script>draw()</script>"),
        "/picture": page(b"\x89PNG\r\n\x1a\n\0", kind="image/png"),
    }
    with site_beside(answers) as made:
        yield made


def only_text(result: Any) -> str:
    (block,) = result.content
    assert block.type == "text"
    text: str = block.text
    return text


def test_a_page(web: World, there: Site) -> None:
    before = web.machines.asked
    session = web.session()
    events = turn(
        web.sdk, session, said(f'/tool web_fetch {{"url": "{there.url}/"}}\n/say $result')
    )
    use = next(event for event in events if event.type == "agent.tool_use")
    assert (use.name, use.input) == ("web_fetch", {"url": f"{there.url}/"})
    assert use.evaluated_permission == "allow"
    assert use.evaluation.type == "always_allow"
    result = next(event for event in events if event.type == "agent.tool_result")
    assert result.tool_use_id == use.id
    assert result.is_error is False
    (block,) = result.content
    assert block.to_dict() == {
        "type": "document",
        "source": {
            "type": "text",
            "media_type": "text/plain",
            "data": f"Cats sit on [mats]({there.url}/mats).",
        },
        "title": "Cats",
    }
    assert web.machines.asked == before  # no sandbox was needed, so none was made
    usage = web.sdk.beta.sessions.retrieve(session).usage
    assert usage.server_tool_use is not None
    assert usage.server_tool_use.to_dict() == {"web_search_requests": 0, "web_fetch_requests": 0}


def test_a_page_without_a_title_is_named_by_its_address(web: World, there: Site) -> None:
    (block,) = web.call(web.session(), "web_fetch", url=f"{there.url}/mats#part").content
    assert (block.title, block.source.data) == (f"{there.url}/mats", "Mats are flat.")
    (block,) = web.call(web.session(), "web_fetch", url=f"{there.url}/nul").content
    assert block.source.data == "a\ufffdb"


def test_long_pages_are_cut(web: World, there: Site) -> None:
    session = web.session({"name": "web_fetch", "max_content_tokens": 100})
    (block,) = web.call(session, "web_fetch", url=f"{there.url}/long").content
    assert block.source.data == "x" * 339
    (block,) = web.call(web.session(), "web_fetch", url=f"{there.url}/long").content
    assert len(block.source.data) == 100_000


def test_the_recorded_refusal(web: World) -> None:
    session = web.session({"name": "web_fetch", "blocked_domains": ["example.com"]})
    result = web.call(session, "web_fetch", url="https://example.com/x")
    assert result.is_error is True
    assert only_text(result) == (
        "Web fetch error: url_not_allowed — example.com is a domain this agent is blocked from "
        "fetching (blocked_domains). Retrying this or other URLs on that domain will not work."
    )


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("web_fetch", {}, "Web fetch error: invalid_tool_input — url: Field required."),
        ("web_fetch", {"url": 3}, "Web fetch error: invalid_tool_input — url: Input should be a valid string."),
        ("web_fetch", {"url": "http://a.example", "x": 1}, "Web fetch error: invalid_tool_input — x: Extra inputs are not permitted."),
        ("web_fetch", {"url": "http://10.0.0.1/"}, "Web fetch error: url_not_allowed — 10.0.0.1 does not lead to a public address. Retrying this or other URLs on that host will not work."),
        ("web_fetch", {"url": "http://a.example/" + "x" * 2000}, "Web fetch error: url_too_long — the URL is longer than 2000 characters."),
        ("web_fetch", {"url": "{there}/absent"}, "Web fetch error: url_not_accessible — 127.0.0.1 answers with status 404."),
        ("web_fetch", {"url": "{there}/picture"}, "Web fetch error: unsupported_content_type — image/png cannot be read as text."),
        ("web_fetch", {"url": "{there}/empty"}, "Web fetch error: url_not_accessible — the page at 127.0.0.1 has no text in it."),
        ("web_search", {"query": " x "}, "Web search error: invalid_tool_input — query: must have at least 2 characters."),
        ("web_search", {"q": "cats"}, "Web search error: invalid_tool_input — query: Field required."),
    ],
)  # fmt: skip
def test_errors(web: World, there: Site, name: str, arguments: Any, text: str) -> None:
    session = web.session()
    given = {k: v.replace("{there}", there.url) if isinstance(v, str) else v for k, v in arguments.items()}  # fmt: skip
    result = web.call(session, name, **given)
    assert (only_text(result), result.is_error) == (text, True)
    usage = web.sdk.beta.sessions.retrieve(session).usage.server_tool_use
    assert usage is not None
    assert usage.web_search_requests == 0


def test_a_search_that_is_asked_for(web: World) -> None:
    place = {"type": "approximate", "country": "NO"}
    session = web.session(
        {
            "name": "web_search",
            "permission_policy": {"type": "always_ask"},
            "allowed_domains": ["a.example/docs"],
            "user_location": place,
        }
    )
    events = turn(web.sdk, session, said('/tool web_search {"query": "blue cats"}'))
    use = next(event for event in events if event.type == "agent.tool_use")
    assert use.evaluated_permission == "ask"
    assert events[-1].stop_reason.type == "requires_action"
    allow = {"type": "user.tool_confirmation", "tool_use_id": use.id, "result": "allow"}
    events = turn(web.sdk, session, allow)
    result = next(event for event in events if event.type == "agent.tool_result")
    assert [block.to_dict() for block in result.content] == [
        {
            "type": "search_result",
            "source": f"https://a.example/docs/blue-cats/{n}",
            "title": f"Result {n} for blue cats",
            "content": [
                {
                    "type": "text",
                    "text": f"A passage about blue cats, made up offline (number {n}).",
                }
            ],
            "citations": {"enabled": True},
        }
        for n in range(1, 11)
    ]
    told = next(event for event in events if event.type == "session.usage")
    for usage in (told.usage, web.sdk.beta.sessions.retrieve(session).usage):
        assert usage.server_tool_use.to_dict() == {
            "web_search_requests": 1,
            "web_fetch_requests": 0,
        }


def test_a_search_that_finds_nothing(web: World) -> None:
    blocked = ["example.com", "example.org"]
    session = web.session({"name": "web_search", "blocked_domains": blocked})
    result = web.call(session, "web_search", query="cats")
    assert (only_text(result), result.is_error) == ("No results were found.", False)


def test_addresses_from_some_sources_only(web: World, there: Site) -> None:
    session = web.session(
        {"name": "web_fetch", "url_sources": {"user_input": "none", "client_tool_results": "none"}}
    )
    refused = web.call(session, "web_fetch", url="https://example.com/cats/1")
    assert only_text(refused) == (
        "Web fetch error: url_not_in_prior_context — this URL has not appeared in the conversation "
        "where this agent may take URLs from (url_sources)."
    )
    users = web.session({"name": "web_fetch", "url_sources": {"server_tool_results": "none"}})
    # The message that has the model call the tool has the address in it.
    assert web.call(users, "web_fetch", url=f"{there.url}/").is_error is False
    # A page leads on to its links, and no further.
    onward = web.session({"name": "web_fetch", "url_sources": {"client_tool_results": "none"}})
    assert web.call(onward, "web_fetch", url=f"{there.url}/").is_error is False
    inner = web.session({"name": "web_fetch", "url_sources": {"user_input": "none"}})
    assert web.call(inner, "web_fetch", url=f"{there.url}/mats").is_error is True


def test_what_the_model_is_told_stays_the_same(web: World, there: Site) -> None:
    session = web.session(on=True)
    created = web.sdk.beta.sessions.retrieve(session).created_at
    web.model.requests.clear()
    web.call(session, "web_fetch", url=f"{there.url}/")
    web.call(session, "web_search", query="cats")
    assert len(web.model.requests) == 4
    first, *others = [json.dumps(request.tools) for request in web.model.requests]
    assert {first} == set(others)
    tools = {tool["name"]: tool for tool in web.model.requests[0].tools}
    assert list(tools) == [*("bash", "read", "write", "edit", "glob", "grep"), "web_fetch", "web_search"]  # fmt: skip
    assert tools["web_search"]["description"].endswith(
        f"Today's date is {created.astimezone(UTC).date()}."
    )
    assert abs((datetime.now(UTC) - created).days) <= 1
    shown = web.model.requests[-1].messages[-1]["content"][0]
    assert [block["type"] for block in shown["content"]] == ["search_result"] * 10


def test_agents_with_web_tools_alone_hear_of_no_sandbox(web: World, there: Site) -> None:
    session = web.session()
    web.model.requests.clear()
    web.call(session, "web_fetch", url=f"{there.url}/")
    assert web.model.requests[0].system == []


def test_an_interrupt_ends_the_fetch(web: World) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        begun.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            ended.set()
            raise

    before = web.machines.asked
    session = web.session()
    with site_beside({"/": hang}) as slow, web.sdk.beta.sessions.events.stream(session) as stream:
        web.sdk.beta.sessions.events.send(
            session,
            events=[said(f'/tool web_fetch {{"url": "{slow.url}/"}}')],  # type: ignore[list-item]
        )
        assert begun.wait(20)
        web.sdk.beta.sessions.events.send(session, events=[{"type": "user.interrupt"}])
        seen = []
        for event in stream:
            seen.append(event)
            if event.type == "session.status_idle":
                break
        assert ended.wait(20)
    result = next(event for event in seen if event.type == "agent.tool_result")
    text = "Tool execution was interrupted before completion. Please retry."
    assert (only_text(result), result.is_error) == (text, True)
    assert web.machines.asked == before


def test_what_is_not_configured_is_not_offered(tmp_path: Path) -> None:
    for bare in world(tmp_path, web_fetch=False):
        session = bare.session(on=True)
        bare.model.requests.clear()
        for name in ("web_fetch", "web_search"):
            result = bare.call(session, name, url="https://example.com", query="cats")
            assert only_text(result) == f"Permission to use {name} has been denied."
        names = [tool["name"] for tool in bare.model.requests[0].tools]
        assert names == ["bash", "read", "write", "edit", "glob", "grep"]
        uses = bare.sdk.beta.sessions.events.list(session, types=["agent.tool_use"])
        assert [use.evaluated_permission for use in uses] == ["deny", "deny"]  # type: ignore[union-attr]


def test_a_fetch_that_a_dead_server_left_open_is_made_again(tmp_path: Path) -> None:
    begun = threading.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.sleep(3600)

    variables = {"FREEHOLD_SANDBOX": "scripted", "FREEHOLD_TRUSTED_NETWORKS": "127.0.0.0/8"}
    with (
        site_beside({"/": hang}) as there,
        ServerProcess(tmp_path / "data", **variables) as process,
    ):
        sdk = Anthropic(base_url=process.url, api_key="test", max_retries=0)
        agent = sdk.beta.agents.create(
            name="Reader", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = sdk.beta.environments.create(name="plain")
        session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id
        sdk.beta.sessions.events.send(
            session,
            events=[said(f'/tool web_fetch {{"url": "{there.url}/"}}')],  # type: ignore[list-item]
        )
        assert begun.wait(20)
        process.kill()
        there.answers["/"] = page("<p>here at last</p>")
        process.start()
        deadline = time.monotonic() + 60
        while sdk.beta.sessions.retrieve(session).status != "idle":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        events = list(sdk.beta.sessions.events.list(session))
        results = [event for event in events if event.type == "agent.tool_result"]
        assert [result.content[0].source.data for result in results] == ["here at last"]  # type: ignore
        assert there.connections == 2


def test_a_search_that_a_dead_server_left_open_is_made_again_and_counted_once(
    tmp_path: Path,
) -> None:
    begun = threading.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.sleep(3600)

    query = "/search?q=cats&format=json"
    with site_beside({query: hang}) as there:
        variables = {
            "FREEHOLD_SANDBOX": "scripted",
            "FREEHOLD_WEB_SEARCH": "searxng",
            "FREEHOLD_WEB_SEARCH_URL": there.url,
        }
        with ServerProcess(tmp_path / "data", **variables) as process:
            sdk = Anthropic(base_url=process.url, api_key="test", max_retries=0)
            agent = sdk.beta.agents.create(
                name="Reader", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
            )
            environment = sdk.beta.environments.create(name="plain")
            session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id
            sdk.beta.sessions.events.send(
                session,
                events=[said('/tool web_search {"query": "cats"}')],  # type: ignore[list-item]
            )
            assert begun.wait(20)
            process.kill()
            found = {"results": [{"url": "https://a.example", "title": "A", "content": "x"}]}
            there.answers[query] = page(json.dumps(found), kind="application/json")
            process.start()
            deadline = time.monotonic() + 60
            while sdk.beta.sessions.retrieve(session).status != "idle":
                assert time.monotonic() < deadline
                time.sleep(0.05)
            events = list(sdk.beta.sessions.events.list(session))
            usage = sdk.beta.sessions.retrieve(session).usage.server_tool_use
    results = [event for event in events if event.type == "agent.tool_result"]
    assert [result.content[0].source for result in results] == ["https://a.example"]  # type: ignore
    assert there.connections == 2
    assert usage is not None
    assert usage.web_search_requests == 1
