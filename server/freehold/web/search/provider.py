"""What a provider of searches is, and what those that are asked over HTTP have in common."""

from __future__ import annotations

import html
import ssl
from abc import ABC, abstractmethod
from typing import Any, Protocol

import httpx2

from freehold.core.events import Json
from freehold.core.web_rules import DomainRules
from freehold.errors import ConfigurationError, WebError
from freehold.ports.sandbox import Finding
from freehold.ports.web import Asking, Hit

SEARCH_SECONDS = 15.0
MOST_OPERATORS = 8
"""Domains that are named in a query; providers cut or refuse longer ones."""


class SearchProvider(Protocol):
    """Something that can be asked."""

    @property
    def name(self) -> str:
        """As in ``FREEHOLD_WEB_SEARCH``."""
        ...

    async def search(
        self,
        query: str,
        rules: DomainRules,
        location: Json | None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """Results, best first, more than are needed if that costs nothing.

        ``rules`` are for providers that can be told; the caller filters in any case. ``asking``
        is for those that ask a model.

        Raises:
            WebError: the provider failed.
        """
        ...

    async def check(self) -> list[Finding]:
        """How the provider stands; never raises, costs no money."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class HttpProvider(ABC):
    """A provider that answers JSON over HTTP.

    Args:
        base_url: Where it is.
        tls: Whom to trust.
        headers: Sent with every request, the key among them.
    """

    name: str
    longest_query = 400
    """Characters."""

    def __init__(
        self, base_url: str, tls: ssl.SSLContext, headers: dict[str, str] | None = None
    ) -> None:
        self._base_url = checked_url(base_url)
        self._client = httpx2.AsyncClient(
            headers={"accept": "application/json", **(headers or {})},
            verify=tls,
            timeout=SEARCH_SECONDS,
        )

    async def search(
        self,
        query: str,
        rules: DomainRules,
        location: Json | None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """See :meth:`SearchProvider.search`."""
        if len(query) > self.longest_query:
            raise WebError(
                "query_too_long", f"the query is longer than {self.longest_query} characters."
            )
        return self._hits(await self._ask(query, rules, location))

    @abstractmethod
    async def _ask(self, query: str, rules: DomainRules, location: Json | None) -> Any:
        """The provider's answer."""

    @abstractmethod
    def _hits(self, answer: Any) -> list[Hit]:
        """The results in an answer."""

    async def check(self) -> list[Finding]:
        """Asking costs money, so only that it is configured."""
        return [Finding("web_search", "ok", f"{self.name}, with a key (not tried: asking costs)")]

    async def close(self) -> None:
        """See :meth:`SearchProvider.close`."""
        await self._client.aclose()

    async def _json(self, method: str, path: str, **options: Any) -> Any:
        """One request.

        Raises:
            WebError: it brought no JSON; the text has no key and no URL in it.
        """
        try:
            response = await self._client.request(method, self._base_url + path, **options)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise WebError(
                "unavailable", f"the search provider cannot be reached ({type(error).__name__})."
            ) from None
        status = response.status_code
        if status == 429:
            raise WebError("too_many_requests", "the search provider asks for a pause.")
        if status in {401, 403}:
            raise WebError("unavailable", f"the search provider refuses the server ({status}).")
        if not response.is_success:
            raise WebError("unavailable", f"the search provider answers with status {status}.")
        try:
            return response.json()
        except ValueError:
            raise WebError("unavailable", "the search provider's answer is not JSON.") from None


def checked_url(text: str) -> str:
    """A base URL without its last slash.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, TypeError):
        url = httpx2.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError("FREEHOLD_WEB_SEARCH_URL must look like https://host")
    return text.rstrip("/")


def with_operators(query: str, rules: DomainRules) -> str:
    """The query with the ``site:`` operators that most engines know, where they are few."""
    allowed = rules.allowed or ()
    if 0 < len(allowed) <= MOST_OPERATORS:
        sites = " OR ".join(f"site:{domain}" for domain in allowed)
        query += f" ({sites})" if len(allowed) > 1 else f" {sites}"
    if len(rules.blocked) <= MOST_OPERATORS:
        query += "".join(f" -site:{domain}" for domain in rules.blocked)
    return query


def hits(entries: Any, text: str) -> list[Hit]:
    """Results from a list of objects with ``url``, ``title`` and, under ``text``, a passage."""
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        url = entry.get("url")
        if isinstance(url, str) and url:
            title = _plain(entry.get("title")) or url
            found.append(Hit(url=url, title=title, text=_plain(entry.get(text)) or title))
    return found


def _plain(value: Any) -> str:
    return html.unescape(value).strip() if isinstance(value, str) else ""
