"""``web_search`` by the Messages API's own tool: the real client against a server over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import pytest
from tests.support.models import KEY, served

from freehold.core.events import ModelUsage
from freehold.core.web_rules import DomainRules
from freehold.errors import ConfigurationError, WebError
from freehold.models import ScriptedModel, ScriptedProvider, build_model
from freehold.models.scripted.http import Receive, Scope, ScriptedHttp, Send
from freehold.models.scripted.search import CODES
from freehold.ports.web import Asking, Hit
from freehold.settings import Settings
from freehold.web.search.upstream import Upstream
from freehold.web.service import ServerWeb, build_web

ANY = DomainRules()


class Server:
    """The scripted Messages API, or a fixed answer, and what it was asked."""

    def __init__(self, status: int | None = None, body: bytes = b"", *, cut: bool = False) -> None:
        self._script = ScriptedHttp(ScriptedModel(), api_key=KEY)
        self._status = status
        self._body = body
        self._cut = cut
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.asked.append(json.loads(message["body"]))

        async def again() -> Any:
            return message

        if self._status is None:
            await self._script(scope, again, send)
            return
        headers = [(b"content-type", b"application/json")]
        if self._cut:
            headers.append((b"content-length", b"1000"))
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        if not self._cut:
            await send({"type": "http.response.body", "body": self._body})


class World:
    """A web that searches upstream, and what that cost."""

    def __init__(self, web: ServerWeb, server: Server) -> None:
        self.web = web
        self.server = server
        self.costs: list[tuple[str, ModelUsage]] = []

    async def search(self, query: str, rules: DomainRules = ANY, **more: Any) -> list[Hit]:
        asking = Asking("claude-opus-5", lambda *cost: self.costs.append(cost))
        return await self.web.search(query, rules, asking=asking, **more)


@contextmanager
def world(server: Server | None = None, key: str = KEY, **values: Any) -> Iterator[World]:
    server = server or Server()
    with served(server) as url:
        values = {"model_base_url": url, "model_api_key": key, **values}
        settings = Settings(model="upstream", web_search="upstream", **values)
        yield World(build_web(settings, build_model(settings)), server)


async def test_results_and_what_they_cost() -> None:
    with world() as there:
        found = await there.search("blue cats")
        assert len(found) == 10
        first = "https://example.com/blue-cats/1"
        assert found[0] == Hit(
            first, "Result 1 for blue cats", f"A passage of {first}, made up offline."
        )
        # What the model did not quote is told by its title and date.
        assert found[9].text == "Result 10 for blue cats (November 22, 2026)"
        ((model, usage),) = there.costs
        assert model == "claude-opus-5"
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0
        assert there.web.offers == {"web_fetch", "web_search"}


async def test_what_the_server_is_asked() -> None:
    with world() as there:
        place = {"type": "approximate", "city": "Tromsø", "country": "NO", "region": None}
        found = await there.search("cats", DomainRules(allowed=("a.example",)), location=place)
        (asked,) = there.server.asked
        assert asked["model"] == "claude-opus-5"
        assert asked["tools"] == [
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 1,
                "allowed_domains": ["a.example"],
                "user_location": {"type": "approximate", "city": "Tromsø", "country": "NO"},
            }
        ]
        assert {hit.url.split("/")[2] for hit in found} == {"a.example"}
        assert found[0].title.endswith("in Tromsø")
        rules = DomainRules(blocked=("example.com", "example.net"))
        assert {hit.url.split("/")[2] for hit in await there.search("cats", rules)} == {
            "example.org"
        }
        assert there.server.asked[1]["tools"][0]["blocked_domains"] == [
            "example.com",
            "example.net",
        ]


async def test_another_model_may_search() -> None:
    with world(web_search_model="claude-haiku-5-5") as there:
        await there.search("cats")
        assert there.server.asked[0]["model"] == "claude-haiku-5-5"
        assert there.costs[0][0] == "claude-haiku-5-5"


@pytest.mark.parametrize("code", sorted(CODES))
async def test_errors_of_the_search(code: str) -> None:
    known = {"invalid_tool_input", "query_too_long", "too_many_requests"}
    with world() as there:
        with pytest.raises(WebError, match=code) as caught:
            await there.search(f"cats /fail {code}")
        assert caught.value.code == (code if code in known else "unavailable")
        assert len(there.costs) == 1  # the model was asked all the same


REFUSAL = b'{"type":"error","error":{"type":"invalid_request_error","message":"no such tool"}}'


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (Server(429, b"{}"), "too_many_requests"),
        (Server(400, REFUSAL), "unavailable"),
        (Server(529, b"{}"), "unavailable"),
        (Server(302, b""), "unavailable"),
        (Server(200, b"<html>"), "unavailable"),
        (Server(200, b"[]"), "unavailable"),
        (Server(200, b'{"content": [{"type": "text", "text": "I know"}]}'), "unavailable"),
        (Server(200, b" " * (10 * 1024 * 1024 + 1)), "unavailable"),
        (Server(200, cut=True), "unavailable"),
    ],
    ids=["429", "400", "529", "302", "html", "list", "none", "huge", "cut"],
)
async def test_servers_that_do_not_search(server: Server, code: str) -> None:
    with world(server) as there:
        with pytest.raises(WebError) as caught:
            await there.search("cats")
        assert caught.value.code == code
        assert KEY not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
        assert "no such tool" not in str(caught.value)


async def test_a_wrong_key_and_nobody_there() -> None:
    with world(key="sk-wrong-0123456789") as there:
        with pytest.raises(WebError, match="status 401") as caught:
            await there.search("cats")
        assert "sk-wrong" not in str(caught.value)
    with pytest.raises(WebError, match=r"cannot be asked to search \(connection\)"):
        await there.search("cats")
    assert there.costs == []


async def test_a_search_that_takes_too_long() -> None:
    slow = Upstream(ScriptedProvider(latency=3600), patience=0.05)
    with pytest.raises(WebError, match="too long"):
        await slow.search("cats", ANY, None, Asking("claude-opus-5", lambda *_: None))


async def test_queries_that_cannot_be_asked() -> None:
    with world() as there:
        with pytest.raises(WebError) as caught:
            await there.search("c" * 2001)
        assert caught.value.code == "query_too_long"
        with pytest.raises(WebError, match="no model"):
            await there.web.search("cats", ANY)
        assert there.server.asked == []


async def test_without_a_model_that_takes_requests() -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_WEB_SEARCH=upstream"):
        build_web(Settings(web_search="upstream"))
    web = build_web(Settings(web_search="upstream", web_search_model="m"), ScriptedProvider())
    (finding,) = [one for one in await web.check() if one.name == "web_search"]
    assert (finding.status, finding.detail) == ("ok", "upstream, by m (not tried: asking costs)")
    await web.close()


TOOL: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
SEARCH = (
    '/say Looking.\n/tool web_search {"query": "cats"}\n/tool other\n'
    '/tool web_search {"query": "dogs"}'
)


class TestTheScriptedTool:
    """The scripted server's side, by the official client's own types."""

    def ask(self, text: str, *, streamed: bool = False) -> anthropic.types.Message:
        given: Any = {
            "model": "claude-opus-5",
            "max_tokens": 100,
            "tools": [TOOL, {"name": "other", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": text}],
        }
        with (
            served(ScriptedHttp(ScriptedModel())) as url,
            anthropic.Anthropic(
                base_url=url, api_key=KEY, max_retries=0, _strict_response_validation=True
            ) as client,
        ):
            if not streamed:
                return client.messages.create(**given)
            with client.messages.stream(**given) as stream:
                return stream.get_final_message()

    def test_a_search_is_carried_out_inside_the_answer(self) -> None:
        message = self.ask(SEARCH)
        assert [block.type for block in message.content] == [
            "text",
            "server_tool_use",
            "web_search_tool_result",
            *["text"] * 3,
            "server_tool_use",
            "web_search_tool_result",
            "tool_use",
        ]
        assert message.stop_reason == "tool_use"
        found, spent = [b for b in message.content if b.type == "web_search_tool_result"]
        assert isinstance(found.content, list)
        assert len(found.content) == 10
        assert not isinstance(spent.content, list)
        assert spent.content.error_code == "max_uses_exceeded"
        assert message.usage.server_tool_use is not None
        assert message.usage.server_tool_use.web_search_requests == 1

    def test_a_streamed_search_is_the_same(self) -> None:
        assert self.ask(SEARCH, streamed=True).to_dict() == self.ask(SEARCH).to_dict()

    def test_an_answer_that_only_searches_ends_the_turn(self) -> None:
        message = self.ask('/tool web_search {"query": "cats /fail unavailable"}')
        assert message.stop_reason == "end_turn"
        assert [block.type for block in message.content] == [
            "server_tool_use",
            "web_search_tool_result",
        ]

    def test_a_query_that_is_none(self) -> None:
        (_, result) = self.ask("/tool web_search {}").content
        assert result.type == "web_search_tool_result"
        assert not isinstance(result.content, list)
        assert result.content.error_code == "invalid_tool_input"
