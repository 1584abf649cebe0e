"""Which addresses a conversation has shown, and where (spec 12.6, ``url_sources``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlsplit

from freehold.core.events import (
    AgentCustomToolUse,
    AgentToolResult,
    AgentToolUse,
    Content,
    Json,
    Record,
    UserCustomToolResult,
    UserMessage,
)
from freehold.core.urls import DEFAULT_PORTS, authority
from freehold.core.web_rules import WEB_TOOLS

_URL = re.compile(r"https?://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_TRAILING = ".,;:!?*_~"
_PAIRS = {")": "(", "]": "["}
_KEPT = "/%:@!$&'()*+,;=-._~?"


def shown(records: Iterable[Record], sources: Json) -> set[str]:
    """The addresses, in their :func:`normal` form, that ``sources`` lets count as shown.

    A source that is not set counts in full.
    """
    found: set[str] = set()
    names: dict[str, str] = {}
    for record in records:
        match record.event:
            case UserMessage(content=content) if _counts(sources.get("user_input"), ""):
                found.update(_normals(_texts(content)))
            case AgentToolUse(name=name) | AgentCustomToolUse(name=name):
                names[record.id] = name
            case UserCustomToolResult(custom_tool_use_id=call_id, content=content):
                if _counts(sources.get("client_tool_results"), names.get(call_id, "")):
                    found.update(_normals(_texts(content or [])))
            case AgentToolResult(tool_use_id=call_id, content=content, is_error=failed):
                name = names.get(call_id, "")
                if (
                    name in WEB_TOOLS
                    and not failed
                    and _counts(sources.get("server_tool_results"), name)
                ):
                    found.update(_normals(_texts(content or [])))
            case _:
                pass
    return found


def normal(url: str) -> str | None:
    """The form in which addresses are compared; ``None`` if it is no address.

    Scheme and host are case-blind, a default port, a fragment and an empty path mean nothing.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in DEFAULT_PORTS or not host:
        return None
    try:
        host = host.rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        return None
    path = quote(parts.path or "/", safe=_KEPT)
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return f"{scheme}://{authority(scheme, host, port)}{path}{query}"


def urls_in(text: str) -> Iterator[str]:
    """The addresses in a text, without the punctuation that follows them."""
    for match in _URL.finditer(text):
        url = match[0]
        while url and (url[-1] in _TRAILING or _unpaired(url)):
            url = url[:-1]
        yield url
        # In Markdown an address may be followed by the next link without a space.
        for cut in re.finditer(r"\)?[\])]", url):
            yield url[: cut.start()]


def _unpaired(url: str) -> bool:
    opening = _PAIRS.get(url[-1])
    return opening is not None and url.count(opening) < url.count(url[-1])


def _counts(source: Json | None, name: str) -> bool:
    if source is None or source["type"] == "all":
        return True
    if source["type"] == "none":
        return False
    named = name in {tool["name"] for tool in source["tools"]}
    return named if source["type"] == "only" else not named


def _texts(blocks: Content) -> Iterator[str]:
    for block in blocks:
        match block["type"]:
            case "text":
                yield block["text"]
            case "search_result":
                yield block["source"]
                yield from _texts(block["content"])
            case "document" if block["source"]["type"] == "text":
                yield block["source"]["data"]
            case _:
                pass


def _normals(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for url in urls_in(text):
            key = normal(url)
            if key is not None:
                yield key
