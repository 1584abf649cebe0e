"""What a model is asked to search for, and what is read from its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.events import ModelUsage
from freehold.core.model_search import SYSTEM, Found, read_search, search_request
from freehold.core.web_rules import DomainRules

PLACE = {"type": "approximate", "city": "Tromsø", "region": None, "country": "NO"}


def results(*entries: Any) -> dict[str, Any]:
    return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": list(entries)}


def result(url: str, title: Any = "T", age: Any = None) -> dict[str, Any]:
    given = {"type": "web_search_result", "url": url, "title": title, "page_age": age}
    return {**given, "encrypted_content": "x"}


def quoting(url: Any, words: Any) -> dict[str, Any]:
    citation = {"type": "web_search_result_location", "url": url, "cited_text": words}
    return {"type": "text", "text": "…", "citations": [citation]}


def test_one_search_is_asked_for() -> None:
    body = search_request("claude-haiku-5-5", "blå katter", DomainRules(), None)
    assert body["model"] == "claude-haiku-5-5"
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1}]
    assert body["system"] == [{"type": "text", "text": SYSTEM}]
    (message,) = body["messages"]
    assert json.loads(message["content"][0]["text"]) == {"query": "blå katter"}
    assert "stream" not in body


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (DomainRules(allowed=("a.example/x",)), {"allowed_domains": ["a.example/x"]}),
        (DomainRules(blocked=("b.example",)), {"blocked_domains": ["b.example"]}),
        # Never both: the API refuses that.
        (DomainRules(("a.example",), ("b.example",)), {"allowed_domains": ["a.example"]}),
    ],
)
def test_domains_and_the_place_are_passed_on(rules: DomainRules, told: Any) -> None:
    (tool,) = search_request("m", "cats", rules, PLACE)["tools"]
    place = {"type": "approximate", "city": "Tromsø", "country": "NO"}
    assert {**told, "user_location": place}.items() <= tool.items()
    assert len({"allowed_domains", "blocked_domains"} & set(tool)) == 1


def test_quotations_are_the_text_of_results() -> None:
    answer = read_search(
        {
            "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                results(
                    result("https://a.example", "Cats"),
                    result("https://b.example", " ", "3 days ago"),
                    result("https://c.example", "Dogs", "May 1, 2026"),
                    result("https://a.example", "Cats again"),
                ),
                quoting("https://a.example", " on mats "),
                quoting("https://a.example", "on mats"),
                quoting("https://a.example", "and hats"),
                quoting("https://nowhere.example", "what was not found"),
            ],
            "usage": {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_read_input_tokens": None,
                "server_tool_use": {"web_search_requests": 1},
            },
        }
    )
    assert answer.searched
    assert answer.error is None
    assert answer.results == [
        Found("https://a.example", "Cats", "on mats\nand hats"),
        Found("https://b.example", "https://b.example", "https://b.example (3 days ago)"),
        Found("https://c.example", "Dogs", "Dogs (May 1, 2026)"),
    ]
    assert answer.usage == ModelUsage(input_tokens=10, output_tokens=20)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"error_code": "too_many_requests"}, "too_many_requests"),
        ({"error_code": 3}, "unavailable"),
        ({}, "unavailable"),
        ("odd", "unavailable"),
    ],
)
def test_errors_of_the_search(content: Any, code: str) -> None:
    failed = {"type": "web_search_tool_result", "tool_use_id": "x", "content": content}
    answer = read_search({"content": [failed]})
    assert (answer.error, answer.searched, answer.results) == (code, False, [])
    assert answer.usage == ModelUsage()
    # One that found something counts, whatever became of another.
    answer = read_search({"content": [results(result("https://a.example")), failed]})
    assert (answer.error, answer.searched, len(answer.results)) == (None, True, 1)


def test_what_is_odd_in_an_answer_is_passed_over() -> None:
    answer = read_search(
        {
            "content": [
                "odd",
                {"type": "text", "text": "no citations", "citations": None},
                {"type": "text", "text": "x", "citations": ["odd", {"url": 3}]},
                quoting("https://a.example", 3),
                quoting("https://a.example", "  "),
                results("odd", {"url": 3}, result("https://a.example", 3)),
            ],
            "usage": {"input_tokens": -1, "output_tokens": "many"},
        }
    )
    assert answer.results == [Found("https://a.example", "https://a.example", "https://a.example")]
    assert answer.usage == ModelUsage()


def test_an_answer_without_a_search() -> None:
    answer = read_search({"content": [{"type": "text", "text": "I know that"}], "usage": []})
    assert (answer.error, answer.searched, answer.results) == (None, False, [])


@pytest.mark.parametrize("message", [None, [], {}, {"content": "text"}, "text"])
def test_what_is_no_message(message: Any) -> None:
    with pytest.raises(ValueError, match="not a message"):
        read_search(message)
