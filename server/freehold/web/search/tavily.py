"""The Tavily search API."""

from __future__ import annotations

import ssl
from typing import Any

from freehold.core.events import Json
from freehold.core.web_rules import DomainRules
from freehold.ports.web import Hit
from freehold.web.search.provider import HttpProvider, hits

BASE_URL = "https://api.tavily.com"


class Tavily(HttpProvider):
    """``POST /search``."""

    name = "tavily"

    def __init__(self, base_url: str | None, api_key: str, tls: ssl.SSLContext) -> None:
        super().__init__(base_url or BASE_URL, tls, {"authorization": f"Bearer {api_key}"})

    async def _ask(self, query: str, rules: DomainRules, location: Json | None) -> Any:
        body: Json = {"query": query, "max_results": 20}
        if rules.allowed is not None:
            # It takes domains without paths; the path is checked afterwards.
            body["include_domains"] = [entry.partition("/")[0] for entry in rules.allowed]
        whole = [entry for entry in rules.blocked if "/" not in entry]
        if whole:
            body["exclude_domains"] = whole
        return await self._json("POST", "/search", json=body)

    def _hits(self, answer: Any) -> list[Hit]:
        return hits(answer.get("results") if isinstance(answer, dict) else None, "content")
