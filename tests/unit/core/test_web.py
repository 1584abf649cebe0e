"""The rules of the web tools: domains, sources of addresses, definitions, results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.core.drafts import Draft
from freehold.core.events import (
    AgentCustomToolUse,
    AgentToolResult,
    AgentToolUse,
    Event,
    Json,
    Record,
    UserCustomToolResult,
    UserMessage,
)
from freehold.core.permissions import enabled_builtins, evaluate
from freehold.core.url_sources import normal, shown, urls_in
from freehold.core.usage import render_usage
from freehold.core.web_rules import DomainRules, web_config
from freehold.core.web_tools import (
    document,
    longest_text,
    offered,
    search_result,
    web_definitions,
)
from tests.playbooks.playbook import START, Playbook, text, toolset

TOOLS = toolset(bash="always_allow", web_fetch="always_allow", web_search="always_ask")


def limited(*hosts: str) -> Json:
    return {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": list(hosts)}}


class TestDomains:
    def test_a_domain_covers_what_is_below_it(self) -> None:
        rules = DomainRules(allowed=("Example.com",))
        assert rules.refusal("example.com") is None
        assert rules.refusal("a.b.EXAMPLE.com.") is None
        assert rules.refusal("notexample.com") == (
            "notexample.com is not a domain this agent is allowed to fetch (allowed_domains). "
            "Retrying this or other URLs on that domain will not work."
        )
        assert rules.refusal("example.com.evil.net") is not None

    def test_a_blocked_domain(self) -> None:
        rules = DomainRules.of({"blocked_domains": ["example.com"]}, {})
        assert rules.refusal("example.com") == (
            "example.com is a domain this agent is blocked from fetching (blocked_domains). "
            "Retrying this or other URLs on that domain will not work."
        )
        assert rules.refusal("example.org") is None

    def test_paths(self) -> None:
        rules = DomainRules(allowed=("example.com/docs", "example.org/"))
        assert rules.admits("https://www.example.com/docs")
        assert rules.admits("https://example.com/docs/a?b")
        assert not rules.admits("https://example.com/docsearch")
        assert not rules.admits("https://example.com")
        assert rules.admits("https://example.org/anything")
        assert rules.admits("https://example.org")

    def test_the_environment_bounds_both(self) -> None:
        rules = DomainRules.of({"allowed_domains": None}, limited("*.example.com", "example.org"))
        assert rules.refusal("a.b.example.com") is None
        assert rules.refusal("example.org") is None
        for host in ("example.com", "www.example.org"):
            assert rules.refusal(host) == (
                f"{host} is not a host this environment allows (networking.allowed_hosts). "
                "Retrying this or other URLs on that domain will not work."
            )
        unlimited = DomainRules.of({}, {"networking": {"type": "unrestricted"}})
        assert unlimited == DomainRules()

    @pytest.mark.parametrize("url", ["ftp://example.com/", "https://", "https://[::1", "words"])
    def test_results_that_are_no_pages_are_not_shown(self, url: str) -> None:
        assert not DomainRules().admits(url)


def record(event: Event, number: int) -> Record:
    return Record(seq=number, id=f"e{number}", processed_at=START, event=event)


def conversation() -> list[Record]:
    hit = search_result("https://s.example/1", "t", "see https://s.example/2")
    page = document("t", "[link](https://f.example/1)")
    broken = [text("Web fetch error: url_not_accessible — https://failed.example")]
    events: list[Event] = [
        UserMessage(content=[text("Read https://u.example/a."), {"type": "image", "source": {}}]),
        AgentToolUse(name="web_search", input={}),  # e2
        AgentToolResult(tool_use_id="e2", content=[hit]),
        AgentToolUse(name="web_fetch", input={}),  # e4
        AgentToolResult(tool_use_id="e4", content=page),
        AgentToolUse(name="web_fetch", input={}),  # e6
        AgentToolResult(tool_use_id="e6", content=broken, is_error=True),
        AgentToolUse(name="bash", input={}),  # e8
        AgentToolResult(tool_use_id="e8", content=[text("https://bash.example")]),
        AgentCustomToolUse(name="lookup", input={}),  # e10
        UserCustomToolResult(custom_tool_use_id="e10", content=[text("https://c.example")]),
        AgentCustomToolUse(name="other", input={}),  # e12
        UserCustomToolResult(custom_tool_use_id="e12"),
        UserMessage(content=[text("http:// and https://. are none")]),
    ]
    return [record(event, number) for number, event in enumerate(events, 1)]


USER = {"https://u.example/a"}
SEARCH = {"https://s.example/1", "https://s.example/2"}
FETCH = {"https://f.example/1"}
CLIENT = {"https://c.example/"}


def only(kind: str, *names: str) -> Json:
    return {"type": kind, "tools": [{"type": "tool_reference", "name": name} for name in names]}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({}, USER | SEARCH | FETCH | CLIENT),
        ({"user_input": {"type": "all"}}, USER | SEARCH | FETCH | CLIENT),
        ({"user_input": {"type": "none"}}, SEARCH | FETCH | CLIENT),
        ({"server_tool_results": {"type": "none"}}, USER | CLIENT),
        ({"server_tool_results": only("only", "web_search")}, USER | SEARCH | CLIENT),
        ({"server_tool_results": only("except", "web_search")}, USER | FETCH | CLIENT),
        ({"client_tool_results": only("only", "other")}, USER | SEARCH | FETCH),
        ({"client_tool_results": only("except", "other")}, USER | SEARCH | FETCH | CLIENT),
    ],
)  # fmt: skip
def test_sources_of_addresses(sources: Json, expected: set[str]) -> None:
    found = shown(conversation(), sources)
    assert found - {"https://f.example/1)"} == expected


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ("see https://a.example/b.", "https://a.example/b"),
        ("(https://a.example/b)", "https://a.example/b"),
        ("https://a.example/b_(c)", "https://a.example/b_(c)"),
        ("[x](https://a.example/b_(c)), y", "https://a.example/b_(c)"),
        ("[x](https://a.example/b)[y](https://c.example)", "https://a.example/b"),
        ("**https://a.example/b**", "https://a.example/b"),
        ("<https://a.example/b>", "https://a.example/b"),
        ('"HTTPS://a.example/b?c=d&e"', "HTTPS://a.example/b?c=d&e"),
    ],
)
def test_addresses_in_a_text(words: str, url: str) -> None:
    assert url in set(urls_in(words))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com:80/", "http://example.com/#top"),
        ("https://example.com.:443", "https://example.com/"),
        ("https://bücher.example/ü?ä", "https://xn--bcher-kva.example/%C3%BC?%C3%A4"),
    ],
)
def test_the_same_address(one: str, other: str) -> None:
    assert normal(one) == normal(other) is not None


def test_other_addresses() -> None:
    assert normal("https://a.example/x") != normal("http://a.example/x")
    assert normal("https://a.example:8443/") == "https://a.example:8443/"
    for url in ("ftp://a.example", "https://", "https://a:b", "words", "http://" + "x" * 70 + ".a"):
        assert normal(url) is None


class TestTools:
    def test_only_what_the_server_has_is_offered(self) -> None:
        both = {"web_fetch", "web_search"}
        assert offered(TOOLS, both) == TOOLS
        without = offered(TOOLS, {"web_fetch"})
        assert web_config(without, "web_search") is None
        assert web_config(without, "web_fetch") is not None
        assert without[1:] == TOOLS[1:]
        assert evaluate(TOOLS, "web_search").permission == "ask"
        assert evaluate(without, "web_search").permission == "deny"
        assert evaluate(without, "web_search").evaluation is None
        assert enabled_builtins(without) == ["bash"]  # none of these needs a sandbox

    def test_a_tool_that_is_not_enabled_has_no_config(self) -> None:
        assert web_config(toolset(), "web_fetch") is None
        assert web_config([], "web_fetch") is None

    def test_definitions(self) -> None:
        created = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
        fetch, search = web_definitions(TOOLS, created)
        assert fetch["input_schema"]["properties"]["url"]["format"] == "uri"
        assert search["input_schema"]["properties"]["query"]["minLength"] == 2
        assert search["description"].endswith("Today's date is 2026-11-22.")
        for tool in (fetch, search):
            assert tool["input_schema"]["additionalProperties"] is False
            assert len(tool["input_schema"]["required"]) == 1
        assert [t["name"] for t in web_definitions(toolset(web_search="auto"), created)] == [
            "web_search"
        ]

    def test_the_recorded_length(self) -> None:
        assert longest_text({"max_content_tokens": 100}) == 339
        assert longest_text({"max_content_tokens": 1}) == 3
        assert longest_text({"max_content_tokens": 10**9}) == 100_000
        assert longest_text({}) == 100_000


def turn(name: str, **result: Any) -> Playbook:
    play = Playbook(tools=TOOLS)
    play.write(Draft(AgentToolUse(name=name, input={}), private={"tool_use_id": "toolu_1"}))
    call = play.records[-1].id
    play.write(Draft(AgentToolResult(tool_use_id=call, content=[], **result)))
    return play


@pytest.mark.parametrize(
    ("name", "result", "count"),
    [
        ("web_search", {}, 1),
        ("web_search", {"is_error": False}, 1),
        ("web_search", {"is_error": True}, 0),
        ("web_fetch", {}, 0),
    ],
)
def test_searches_are_counted(name: str, result: Json, count: int) -> None:
    play = turn(name, **result)
    play.write(Draft(AgentToolResult(tool_use_id="nobody's", content=[])))
    usage = render_usage(play.state, START)["server_tool_use"]
    assert usage == {"web_search_requests": count, "web_fetch_requests": 0}
