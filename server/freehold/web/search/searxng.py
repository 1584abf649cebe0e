"""SearXNG: a metasearch engine that its user runs. Its JSON format has to be switched on."""

from __future__ import annotations

from typing import Any

from freehold.core.events import Json
from freehold.core.web_rules import DomainRules
from freehold.errors import WebError
from freehold.ports.sandbox import Finding
from freehold.ports.web import Hit
from freehold.web.search.provider import HttpProvider, hits, with_operators


class SearXNG(HttpProvider):
    """``GET /search?format=json``."""

    name = "searxng"
    longest_query = 2_000

    async def _ask(self, query: str, rules: DomainRules, location: Json | None) -> Any:
        parameters = {"q": with_operators(query, rules), "format": "json"}
        return await self._json("GET", "/search", params=parameters)

    def _hits(self, answer: Any) -> list[Hit]:
        return hits(answer.get("results") if isinstance(answer, dict) else None, "content")

    async def check(self) -> list[Finding]:
        """One search: the instance is the user's own and may well refuse JSON."""
        try:
            await self._ask("freehold", DomainRules(), None)
        except WebError as error:
            return [
                Finding(
                    "web_search",
                    "error",
                    f"searxng: {error.message}",
                    "Check FREEHOLD_WEB_SEARCH_URL, and that `search.formats` in the instance's "
                    "settings.yml lists `json`.",
                )
            ]
        return [Finding("web_search", "ok", "searxng answers")]
