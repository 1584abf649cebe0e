"""The web tools as the model sees them, and what their results look like (spec 12.2, 12.6)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from freehold.core.events import Content, Json
from freehold.core.web_rules import WEB_FETCH, WEB_SEARCH, WEB_TOOLS, web_config

LONGEST_TEXT = 100_000
"""Characters of a page, where its config sets no smaller limit (spec 12.3)."""

# Recorded: 100 tokens are 339 characters (spec 12.6).
_RECORDED_TOKENS, _RECORDED_CHARACTERS = 100, 339


def offered(tools: Sequence[Json], available: Collection[str]) -> list[Json]:
    """An agent's resolved tools without the web tools that the server has not."""
    missing = {name for name in WEB_TOOLS if name not in available}
    if not missing:
        return list(tools)
    return [
        {**entry, "configs": [c for c in entry["configs"] if c["name"] not in missing]}
        if entry["type"] == "agent_toolset_20260401"
        else entry
        for entry in tools
    ]


def web_definitions(tools: Sequence[Json], created_at: datetime) -> list[Json]:
    """The enabled web tools in the Messages API's form.

    The date that ``web_search`` tells is the session's first day: it must not change while the
    session lives, or all that was cached behind it would be lost.
    """
    made = {WEB_FETCH: _fetch(), WEB_SEARCH: _search(created_at)}
    return [made[name] for name in WEB_TOOLS if web_config(tools, name) is not None]


def longest_text(config: Json) -> int:
    """Characters of a page that ``web_fetch`` may show, by ``max_content_tokens``."""
    tokens: int | None = config.get("max_content_tokens")
    if tokens is None:
        return LONGEST_TEXT
    return min(LONGEST_TEXT, max(1, tokens * _RECORDED_CHARACTERS // _RECORDED_TOKENS))


def document(title: str, text: str) -> Content:
    """The result of ``web_fetch``."""
    source = {"type": "text", "media_type": "text/plain", "data": text}
    return [{"type": "document", "source": source, "title": title}]


def search_result(url: str, title: str, text: str) -> Json:
    """One of the results of ``web_search``."""
    return {
        "type": "search_result",
        "source": url,
        "title": title,
        "content": [{"type": "text", "text": text}],
        "citations": {"enabled": True},
    }


def _fetch() -> Json:
    return {
        "name": WEB_FETCH,
        "description": (
            "Fetch a page or document from the web by its URL. HTML comes back as Markdown with "
            "absolute links, PDF files as text, other text as it is. Long documents are cut. Only "
            "public http and https addresses can be reached, without logging in anywhere."
        ),
        "input_schema": _schema(
            "url", {"type": "string", "format": "uri", "description": "The URL to fetch."}
        ),
    }


def _search(created_at: datetime) -> Json:
    return {
        "name": WEB_SEARCH,
        "description": (
            "Search the web. Returns up to ten results, each with its URL, title and a passage; "
            "use `web_fetch`, where you have it, to read a page in full. "
            f"Today's date is {created_at.date().isoformat()}."
        ),
        "input_schema": _schema(
            "query", {"type": "string", "minLength": 2, "description": "What to search for."}
        ),
    }


def _schema(name: str, field: Json) -> Json:
    return {
        "type": "object",
        "properties": {name: field},
        "required": [name],
        "additionalProperties": False,
    }
