"""What a running server shows the official SDK on its streams, in its lists and its echoes."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from anthropic import Anthropic

from freehold.app import create_app
from freehold.core.events import Json, ModelUsage
from freehold.errors import SandboxUnavailable
from freehold.models import ScriptedModel
from freehold.ports.model import ModelEvent, ModelRequest, ModelResponse
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.support.mcp_servers import PIXEL, Door, mcp_server
from tests.support.running import Served, serve, serve_app
from tests.support.sdk_unions import LISTED, SENT, STREAM, THREAD_STREAM, shown
from tests.support.web import page, site_beside
from tests.unions.played import CATEGORIES, ERROR, IDLE, THREAD_IDLE
from tests.unions.stage import Stage, each

SERVED = Stage()

MODEL = "claude-opus-5"
PRICES = f"""
# A tenth of a cent a token, so that the scripted model's few tokens come to some cents.
[models."{MODEL}"]
input = 1000
output = 1000
"""
ENDS = ("session.status_idle", "session.status_terminated", "session.deleted")
PDF = b"%PDF-1.4\n%%EOF\n"


class NoSandboxes(ScriptedSandboxProvider):
    """An engine that is down."""

    async def acquire(self, spec: Any) -> Any:
        raise SandboxUnavailable("no engine")


class Endless(ScriptedModel):
    """A model whose every answer fills its window and calls a tool, unless it is to sum up."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        usage = ModelUsage(input_tokens=10_000_000)
        if "about to leave your context" in str(request.messages[-1]):
            yield ModelResponse([{"type": "text", "text": "summary"}], "end_turn", usage)
            return
        call = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "true"}}
        yield ModelResponse([call], "tool_use", usage)


def said(words: str) -> Json:
    return {"type": "user.message", "content": [{"type": "text", "text": words}]}


def toolset(policy: str = "always_allow") -> Json:
    return {
        "type": "agent_toolset_20260401",
        "default_config": {"permission_policy": {"type": policy}},
    }


class Session:
    """A session, and every kind of thing that was seen of it."""

    def __init__(self, sdk: Anthropic, *tools: Any, session: Json | None = None, **agent: Any):
        self.sdk = sdk
        made = sdk.beta.agents.create(**{"name": "A", "model": MODEL, "tools": tools, **agent})
        environment = sdk.beta.environments.create(name="e")
        given = {"agent": made.id, "environment_id": environment.id, **(session or {})}
        self.id = sdk.beta.sessions.create(**given).id  # type: ignore[arg-type]
        self.events: list[Json] = []
        self._seen: set[str] = set()

    def tell(self, *events: Any) -> Session:
        """Send events and follow the session's stream to the turn's end."""
        with self._streamed() as stream:
            self._send(events)
            self._follow(stream, STREAM)
        return self

    def tell_thread(self, *events: Any) -> Session:
        """The same on the stream of the primary thread."""
        (thread,) = self.sdk.beta.sessions.threads.list(self.id)
        streams = self.sdk.beta.sessions.threads.events
        with streams.stream(thread.id, session_id=self.id) as stream:
            self._send(events)
            self._follow(stream, THREAD_STREAM)
        return self

    def update(self, **change: Any) -> Session:
        """Change the session; the stream tells."""
        with self._streamed() as stream:
            self.sdk.beta.sessions.update(self.id, **change)
            self._follow(stream, STREAM, "session.updated")
        return self

    def delete(self) -> set[str]:
        """Delete the session and see its stream end."""
        with self._streamed() as stream:
            self.sdk.beta.sessions.delete(self.id)
            self._follow(stream, STREAM)
        return self._seen

    def call(self, name: str, **arguments: Any) -> Session:
        """Have the model call one tool."""
        return self.tell(said(f"/tool {name} {json.dumps(arguments)}"))

    def confirm(self, result: str) -> Session:
        """Answer the first call that waits."""
        waiting = self.events[-1]["stop_reason"]["event_ids"]
        answer = {"type": "user.tool_confirmation", "tool_use_id": waiting[0], "result": result}
        return self.tell(answer)

    @property
    def last(self) -> Json:
        return self.events[-1]

    @property
    def kinds(self) -> set[str]:
        """All that was seen; the log is read once more, as the server sends it."""
        response = self.sdk.beta.sessions.events.with_raw_response.list(self.id, limit=1000)
        for event in json.loads(response.text())["data"]:
            self._seen |= shown(LISTED, event)
        return self._seen

    def _streamed(self) -> Any:
        deltas: Any = ["agent.message", "agent.thinking"]
        return self.sdk.beta.sessions.events.stream(self.id, event_deltas=deltas)

    def _send(self, events: Any) -> None:
        sending = self.sdk.beta.sessions.events.with_raw_response
        response = sending.send(self.id, events=list(events))
        self._seen |= shown(SENT, json.loads(response.text())["data"])

    def _follow(self, stream: Any, root: Any, *until: str) -> None:
        for event in stream:
            told = event.to_dict(mode="json")
            self._seen |= shown(root, told)
            self.events.append(told)
            if event.type in (until or ENDS):
                return
        raise AssertionError("the stream ended early")


class World:
    """A server, and what stands beside it."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.folder = folder
        self.sdk = served.client()

    def session(self, *tools: Any, **more: Any) -> Session:
        return Session(self.sdk, *tools, **more)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A server that gives up soon, knows prices and may read the web on loopback."""
    (folder / "prices.toml").write_text(PRICES)
    settings: Json = {"retry_base": 0.01, "retry_limit": 1, "tool_rounds": 3}
    web: Json = {"web_search": "scripted", "trusted_networks": "127.0.0.0/8"}
    with serve(folder / "data", prices=folder / "prices.toml", **settings, **web) as served:
        yield World(folder, served)


@contextlib.contextmanager
def other_server(
    folder: Path, name: str, *, compact_at: float = 0.8, **parts: Any
) -> Iterator[Any]:
    settings = Settings(
        data_dir=folder / name, model="scripted", scripted_latency=0, compact_at=compact_at
    )
    with serve_app(create_app(settings, **parts)) as served:
        yield served.client()


@SERVED.shows(
    "user.message/content/text",
    "session.status_running",
    "session.thread_status_running",
    "span.model_request_start",
    "span.model_request_end",
    "event_start/event/agent.thinking",
    "agent.thinking",
    "event_start/event/agent.message",
    "event_delta/delta/content_delta/content/text",
    "agent.message/content/text",
    "session.usage",
    f"{THREAD_IDLE}/end_turn",
    f"{IDLE}/end_turn",
)
def a_message_and_its_answer(world: World) -> set[str]:
    return world.session().tell(said("/think hm\n/say so")).kinds


@SERVED.shows("agent.message/content/text", f"{IDLE}/end_turn")
def a_thread(world: World) -> set[str]:
    session = world.session().tell_thread(said("/say so"))
    listed = world.sdk.beta.sessions.events.list(session.id)
    assert [event.id for event in listed] == [event["id"] for event in session.events]
    return session.kinds


@SERVED.shows(
    *each("user.message/content/image/source", "base64", "url", "file"),
    *each("user.message/content/document/source", "base64", "text", "url", "file"),
)
def everything_a_user_may_show(world: World) -> set[str]:
    words = {"type": "text", "text": "look"}
    return world.session().tell({"type": "user.message", "content": [*media(world), words]}).kinds


MEDIA: list[Json] = [
    {
        "type": "image",
        "source": {
            "type": "base64",
            "media_type": "image/png",
            "data": base64.b64encode(PIXEL).decode(),
        },
    },
    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    {
        "type": "document",
        "title": "T",
        "source": {
            "type": "base64",
            "media_type": "application/pdf",
            "data": base64.b64encode(PDF).decode(),
        },
    },
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
    {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
]


def media(world: World) -> list[Json]:
    """Images and documents in every way there is."""
    image = world.sdk.files.upload(file=("a.png", PIXEL, "image/png"))
    paper = world.sdk.files.upload(file=("a.pdf", PDF, "application/pdf"))
    return [
        *MEDIA,
        {"type": "image", "source": {"type": "file", "file_id": image.id}},
        {"type": "document", "source": {"type": "file", "file_id": paper.id}},
    ]


@SERVED.shows("system.message/content/text")
def a_system_message(world: World) -> set[str]:
    brief = {"type": "system.message", "content": [{"type": "text", "text": "brief"}]}
    return world.session().tell(said("hi"), brief).kinds


@SERVED.shows(*each("span.model_request_end/model_usage/speed", "standard", "fast"))
def both_speeds(world: World) -> set[str]:
    seen: set[str] = set()
    for speed in ("standard", "fast"):
        seen |= world.session(model={"id": MODEL, "speed": speed}).tell(said("hi")).kinds
    return seen


@SERVED.shows(
    "agent.tool_use/evaluated_permission/allow",
    "agent.tool_use/evaluation/always_allow",
    "agent.tool_result/content/text",
)
def a_tool_that_is_allowed(world: World) -> set[str]:
    return world.session(toolset()).tell(said("/run echo hi")).kinds


@SERVED.shows(
    *each("agent.tool_result/content", "image/source/base64", "document/source/base64"),
)
def files_that_are_no_text(world: World) -> set[str]:
    image, pdf = (base64.b64encode(data).decode() for data in (PIXEL, PDF))
    make = f"/run echo {image} | base64 -d > a.png; echo {pdf} | base64 -d > a.pdf"
    reads = [f'/tool read {{"file_path": "a.{suffix}"}}' for suffix in ("png", "pdf")]
    with serve(world.folder / "files", sandbox="process") as served:
        session = Session(served.client(), toolset())
        return session.tell(said("\n".join([make, "/then", *reads]))).kinds


@SERVED.shows("agent.tool_result/content/document/source/text")
def a_page_of_the_web(world: World) -> set[str]:
    with site_beside({"/": page("<p>Cats sit on mats.")}) as site:
        return world.session(toolset()).call("web_fetch", url=site.url).kinds


@SERVED.shows("agent.tool_result/content/search_result/content/text")
def a_search_of_the_web(world: World) -> set[str]:
    return world.session(toolset()).call("web_search", query="cats").kinds


@SERVED.shows("agent.tool_use/evaluated_permission/deny")
def a_tool_that_is_not_there(world: World) -> set[str]:
    return world.session().tell(said("/run echo hi")).kinds


@SERVED.shows(
    "agent.tool_use/evaluated_permission/ask",
    "agent.tool_use/evaluation/always_ask",
    f"{THREAD_IDLE}/requires_action",
    f"{IDLE}/requires_action",
    *each("user.tool_confirmation/result", "allow", "deny"),
)
def a_tool_that_asks(world: World) -> set[str]:
    session = world.session(toolset("always_ask")).tell(said("/run echo a\n/run echo b"))
    session.confirm("allow")
    return session.confirm("deny").kinds


@SERVED.shows(*each("agent.tool_use/evaluation/auto/evaluated_permission", "allow", "ask", "deny"))
def a_tool_that_is_judged(world: World) -> set[str]:
    seen: set[str] = set()
    for verdict in ("allow", "ask", "deny"):
        session = world.session(toolset("auto"))
        seen |= session.tell(said(f"/judge {verdict}\n/run echo hi")).kinds
    return seen


def with_mcp(world: World, door: Door, policy: str, **toolset: Any) -> Session:
    tools = {
        "type": "mcp_toolset",
        "mcp_server_name": "things",
        "default_config": {"permission_policy": {"type": policy}},
        **toolset,
    }
    return world.session(tools, mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}])


@SERVED.shows(
    "agent.mcp_tool_use/evaluated_permission/allow",
    "agent.mcp_tool_use/evaluation/always_allow",
    *each("agent.mcp_tool_result/content", "text", "image/source/base64"),
)
def an_mcp_tool_that_is_allowed(world: World) -> set[str]:
    with mcp_server() as door:
        session = with_mcp(world, door, "always_allow")
        session.tell(said('/tool mcp__things__add {"a": 1, "b": 2}'))
        return session.tell(said("/tool mcp__things__picture")).kinds


@SERVED.shows("agent.mcp_tool_use/evaluated_permission/deny")
def an_mcp_tool_that_is_not_enabled(world: World) -> set[str]:
    with mcp_server() as door:
        off = [{"name": "add", "enabled": False}]
        session = with_mcp(world, door, "always_allow", configs=off)
        return session.tell(said("/tool mcp__things__add")).kinds


@SERVED.shows(
    "agent.mcp_tool_use/evaluated_permission/ask", "agent.mcp_tool_use/evaluation/always_ask"
)
def an_mcp_tool_that_asks(world: World) -> set[str]:
    with mcp_server() as door:
        session = with_mcp(world, door, "always_ask")
        return session.tell(said('/tool mcp__things__add {"a": 1, "b": 2}')).confirm("allow").kinds


@SERVED.shows(
    *each("agent.mcp_tool_use/evaluation/auto/evaluated_permission", "allow", "ask", "deny")
)
def an_mcp_tool_that_is_judged(world: World) -> set[str]:
    seen: set[str] = set()
    with mcp_server() as door:
        for verdict in ("allow", "ask", "deny"):
            session = with_mcp(world, door, "auto")
            seen |= session.tell(said(f"/judge {verdict}\n/tool mcp__things__whoami")).kinds
    return seen


@SERVED.shows(
    "agent.custom_tool_use",
    "user.custom_tool_result/content/text",
    *each("user.custom_tool_result/content/image/source", "base64", "url", "file"),
    *each("user.custom_tool_result/content/document/source", "base64", "text", "url", "file"),
    "user.custom_tool_result/content/search_result/content/text",
)
def everything_a_custom_tool_may_return(world: World) -> set[str]:
    tool = {
        "type": "custom",
        "name": "look",
        "description": "d",
        "input_schema": {"type": "object"},
    }
    found = {
        "type": "search_result",
        "source": "https://example.com",
        "title": "T",
        "content": [{"type": "text", "text": "found"}],
        "citations": {"enabled": True},
    }
    session = world.session(tool).tell(said("/tool look"))
    (call_id,) = session.last["stop_reason"]["event_ids"]
    content = [{"type": "text", "text": "seen"}, *media(world), found]
    result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id, "content": content}
    return session.tell(result).kinds


@SERVED.shows("user.interrupt")
def an_interrupt(world: World) -> set[str]:
    session = world.session(toolset("always_ask")).tell(said("/run echo hi"))
    return session.tell({"type": "user.interrupt"}).kinds


@SERVED.shows(
    f"{THREAD_IDLE}/refusal",
    f"{IDLE}/refusal",
    *each("session.status_idle/stop_details/refusal/category", *CATEGORIES),
    *each("session.thread_status_idle/stop_details/refusal/category", *CATEGORIES),
)
def every_refusal(world: World) -> set[str]:
    session = world.session()
    for category in (*CATEGORIES, "for no reason with a name"):
        session.tell(said(f"/fail refusal {category}"))
    return session.kinds


@SERVED.shows(
    *each(ERROR, *each("model_overloaded_error/retry_status", "retrying", "exhausted")),
    *each(ERROR, *each("model_rate_limited_error/retry_status", "retrying", "exhausted")),
    *each(ERROR, *each("model_request_failed_error/retry_status", "retrying", "exhausted")),
    f"{ERROR}/billing_error/retry_status/exhausted",
    "session.status_rescheduled",
    "session.thread_status_rescheduled",
    f"{THREAD_IDLE}/retries_exhausted",
    f"{IDLE}/retries_exhausted",
)
def failures_until_the_turn_is_given_up(world: World) -> set[str]:
    session = world.session()
    for kind in ("overloaded", "rate_limited", "server", "connection", "authentication", "billing"):
        session.tell(said(f"/fail {kind}"))
    return session.kinds


@SERVED.shows(f"{ERROR}/unknown_error/retry_status/terminal", "session.status_terminated")
def a_request_that_can_never_succeed(world: World) -> set[str]:
    return world.session().tell(said("/fail invalid_request")).kinds


@SERVED.shows(f"{ERROR}/unknown_error/retry_status/exhausted")
def no_sandbox(world: World) -> set[str]:
    with other_server(world.folder, "broken", sandboxes=NoSandboxes()) as sdk:
        return Session(sdk, toolset()).tell(said("/run echo hi")).kinds


@SERVED.shows(
    f"{ERROR}/mcp_connection_failed_error/retry_status/retrying",
    f"{ERROR}/mcp_authentication_failed_error/retry_status/retrying",
)
def mcp_servers_that_fail(world: World) -> set[str]:
    seen: set[str] = set()
    for door in (Door(status=503), Door(tokens=set())):
        with mcp_server(door):
            session = with_mcp(world, door, "always_allow").tell(said("hi"))
            assert session.last["stop_reason"] == {"type": "end_turn"}
            seen |= session.kinds
    return seen


@SERVED.shows(f"{ERROR}/credential_host_unreachable_error/retry_status/retrying")
def a_credential_whose_host_is_shut_out(world: World) -> set[str]:
    sdk = world.session().sdk
    vault = sdk.beta.vaults.create(display_name="v").id
    sdk.beta.vaults.credentials.create(
        vault,
        auth={
            "type": "environment_variable",
            "secret_name": "TOKEN",
            "secret_value": "value",
            "networking": {"type": "limited", "allowed_hosts": ["a.example"]},
        },
    )
    limited: Any = {"type": "limited", "allow_package_managers": True}
    environment = sdk.beta.environments.create(
        name="limited", config={"type": "cloud", "networking": limited}
    )
    given = {"vault_ids": [vault], "environment_id": environment.id}
    session = world.session(session=given).tell(said("hi"))
    assert session.last["stop_reason"] == {"type": "end_turn"}
    return session.kinds


@SERVED.shows(f"{ERROR}/tool_use_limit_reached_error/retry_status/exhausted")
def tools_without_end(world: World) -> set[str]:
    calls = "\n/then\n".join(["/run true"] * 9)
    session = world.session(toolset()).tell(said(calls))
    assert session.last["stop_reason"] == {"type": "retries_exhausted"}
    assert [event["type"] for event in session.events].count("agent.tool_result") == 3
    session.tell(said("/say back"))
    assert session.last["stop_reason"] == {"type": "end_turn"}
    return session.kinds


@SERVED.shows(
    "agent.thread_context_compacted",
    f"{ERROR}/compaction_limit_reached_error/retry_status/exhausted",
)
def a_window_that_is_always_full(world: World) -> set[str]:
    parts = {"model": Endless(), "sandboxes": ScriptedSandboxProvider()}
    with other_server(world.folder, "full", **parts) as sdk:
        session = Session(sdk, toolset()).tell(said("go"))
        assert session.last["stop_reason"] == {"type": "retries_exhausted"}
        return session.kinds


@SERVED.shows(
    f"{THREAD_IDLE}/budget_reached",
    f"{IDLE}/budget_reached",
    "session.usage/budget/limit",
    "session.updated/budget/limit",
)
def a_budget_that_is_reached_and_raised(world: World) -> set[str]:
    def limit(cents: int) -> Json:
        return {"type": "limit", "max_list_cost": {"amount": str(cents), "currency": "USD"}}

    session = world.session(toolset(), session={"budget": limit(1)})
    session.tell(said("/run echo hi\n/say done"))
    assert session.last["stop_reason"] == {"type": "budget_reached"}
    return session.update(budget=limit(100_000)).kinds


@SERVED.shows("session.updated", "session.updated/agent/agent")
def an_update_of_everything(world: World) -> set[str]:
    session = world.session().update(title="t", metadata={"a": "b"})
    return session.update(agent={"tools": [toolset("auto")]}).kinds


@SERVED.shows("session.deleted")
def the_end(world: World) -> set[str]:
    return world.session().delete()
