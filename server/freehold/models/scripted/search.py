"""The scripted provider's ``web_search``: a server tool that finds the same for the same query.

A request that declares the tool has a script's call of it carried out inside the answer, as the
Messages API does. A query with ``/fail CODE`` in it fails with that code.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from freehold.core.events import Content, Json
from freehold.core.web_rules import WEB_SEARCH, DomainRules
from freehold.models.scripted.replies import ToolUse

RESULTS = 10
QUOTED = 3
"""Of the results; the model says nothing of the others."""

CODES = frozenset(
    {
        "invalid_tool_input",
        "unavailable",
        "max_uses_exceeded",
        "too_many_requests",
        "query_too_long",
        "request_too_large",
    }
)
"""Why the API's searches fail."""

_FAIL = re.compile(r"/fail (\w+)")
_WORD = re.compile(r"\w+")


def search_tool(tools: Sequence[Json]) -> Json | None:
    """The server tool that a request declares; ``None`` if it declares none."""
    found = (tool for tool in tools if str(tool.get("type", "")).startswith("web_search_"))
    return next(found, None)


def runs_on_server(use: ToolUse, tools: Sequence[Json]) -> bool:
    """Whether this call is carried out here and not left to the client."""
    return use.name == WEB_SEARCH and search_tool(tools) is not None


def search_blocks(uses: Sequence[tuple[str, ToolUse]], tools: Sequence[Json]) -> Content:
    """Calls, results and quotations of these searches; each comes with its id."""
    tool = search_tool(tools) or {}
    most = tool.get("max_uses")
    blocks: Content = []
    for number, (call_id, use) in enumerate(uses):
        spent = isinstance(most, int) and number >= most
        blocks += _search(call_id, use, tool, spent=spent)
    return blocks


def _search(call_id: str, use: ToolUse, tool: Json, *, spent: bool) -> Content:
    query = use.input.get("query")
    error = "max_uses_exceeded" if spent else _error(query)
    call: Json = {"type": "server_tool_use", "id": call_id, "name": WEB_SEARCH, "input": use.input}
    if error is not None:
        return [
            call,
            _result(call_id, {"type": "web_search_tool_result_error", "error_code": error}),
        ]
    results = _results(str(query), tool)
    return [call, _result(call_id, results), *map(_quotation, results[:QUOTED])]


def _error(query: object) -> str | None:
    if not isinstance(query, str) or len(query.strip()) < 2:
        return "invalid_tool_input"
    asked = _FAIL.search(query)
    return asked[1] if asked is not None and asked[1] in CODES else None


def _result(call_id: str, content: Json | list[Json]) -> Json:
    return {"type": "web_search_tool_result", "tool_use_id": call_id, "content": content}


def _results(query: str, tool: Json) -> list[Json]:
    rules = DomainRules(blocked=tuple(tool.get("blocked_domains") or ()))
    domains = tool.get("allowed_domains") or ["example.com", "example.org", "example.net"]
    slug = "-".join(_WORD.findall(query.casefold())) or "nothing"
    place = (tool.get("user_location") or {}).get("city")
    made: list[Json] = [
        {
            "type": "web_search_result",
            "url": f"https://{domains[n % len(domains)].rstrip('/')}/{slug}/{n + 1}",
            "title": f"Result {n + 1} for {query}" + (f" in {place}" if place else ""),
            "encrypted_content": _sealed(f"{query} {n}"),
            "page_age": "November 22, 2026" if n % 2 else None,
        }
        for n in range(RESULTS * len(domains))
    ]
    return [one for one in made if rules.admits(one["url"])][:RESULTS]


def _quotation(result: Json) -> Json:
    words = f"A passage of {result['url']}, made up offline."
    citation = {
        "type": "web_search_result_location",
        "url": result["url"],
        "title": result["title"],
        "encrypted_index": _sealed(result["url"]),
        "cited_text": words,
    }
    return {"type": "text", "text": words, "citations": [citation]}


def _sealed(text: str) -> str:
    return base64.b64encode(hashlib.blake2b(text.encode(), digest_size=24).digest()).decode()
