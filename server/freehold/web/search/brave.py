"""The Brave Search API."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import quote

from freehold.core.events import Json
from freehold.core.web_rules import DomainRules
from freehold.ports.web import Hit
from freehold.web.search.provider import HttpProvider, hits, with_operators

BASE_URL = "https://api.search.brave.com"
_PLACES = {
    "city": "X-Loc-City",
    "region": "X-Loc-State-Name",
    "country": "X-Loc-Country",
    "timezone": "X-Loc-Timezone",
}


class Brave(HttpProvider):
    """``GET /res/v1/web/search``."""

    name = "brave"

    def __init__(self, base_url: str | None, api_key: str, tls: ssl.SSLContext) -> None:
        super().__init__(base_url or BASE_URL, tls, {"x-subscription-token": api_key})

    async def _ask(self, query: str, rules: DomainRules, location: Json | None) -> Any:
        where = {
            # Headers are ASCII; the API takes the rest percent-encoded.
            header: quote(str(location[key]), safe=" /,.-'")
            for key, header in _PLACES.items()
            if location and location.get(key)
        }
        wanted = with_operators(query, rules)
        return await self._json(
            "GET",
            "/res/v1/web/search",
            params={
                "q": wanted if len(wanted) <= self.longest_query else query,
                "count": "20",
                "text_decorations": "false",
                "result_filter": "web",
            },
            headers=where,
        )

    def _hits(self, answer: Any) -> list[Hit]:
        web = answer.get("web") if isinstance(answer, dict) else None
        return hits(web.get("results") if isinstance(web, dict) else None, "description")
