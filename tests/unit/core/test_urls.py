"""Which URLs name the same MCP server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.urls import http_url_problem, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Mcp.Example.com/mcp", "HTTPS://mcp.example.com:443/mcp/"),
        ("http://example.com", "http://example.com:80/"),
        ("https://[::1]:8443/a#part", "https://[::1]:8443/a"),
    ],
)
def test_the_same_server(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/a", "https://example.com/A"),
        ("https://example.com/a", "http://example.com/a"),
        ("https://example.com:444", "https://example.com"),
        ("https://example.com/?a=1", "https://example.com/"),
        ("nonsense", "Nonsense"),
        ("https://[bad", "https://[BAD"),
    ],
)
def test_another_server(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_normalising_twice_changes_nothing(url: str) -> None:
    assert normalised(normalised(url)) == normalised(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://example.com:8443/mcp?x=1", None),
        ("http://127.0.0.1/mcp", None),
        ("ftp://example.com", "must begin with https:// or http://"),
        ("https:///mcp", "must name a host"),
        ("https://u:p@example.com", "must not contain a user name or a password"),
        ("https://example.com/a b", "must not contain spaces or control characters"),
        ("https://[bad", "is not a valid URL"),
        ("https://example.com:99999", "is not a valid URL"),
        ("https://example.com:0", "is not a valid URL"),
    ],
)
def test_urls_that_can_be_asked(url: str, problem: str | None) -> None:
    assert http_url_problem(url) == problem
