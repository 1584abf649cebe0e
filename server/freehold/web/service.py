"""The web as settings make it: :class:`freehold.ports.web.Web`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from freehold import tls
from freehold.core.addresses import Network, parse_network
from freehold.core.events import Json
from freehold.core.web_rules import WEB_FETCH, WEB_SEARCH, DomainRules
from freehold.errors import ConfigurationError, WebError
from freehold.ports.model import Relay
from freehold.ports.sandbox import Finding
from freehold.ports.web import Asking, Hit, Page
from freehold.settings import Settings
from freehold.web.converting import Converter
from freehold.web.fetch import Fetcher
from freehold.web.guard import GuardedNetwork
from freehold.web.search.brave import Brave
from freehold.web.search.provider import SearchProvider
from freehold.web.search.scripted import Scripted
from freehold.web.search.searxng import SearXNG
from freehold.web.search.tavily import Tavily
from freehold.web.search.upstream import Upstream

MOST_HITS = 10


class ServerWeb:
    """Fetches by a guarded client and searches by one provider; either may be missing."""

    def __init__(
        self,
        fetcher: Fetcher | None,
        provider: SearchProvider | None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._fetcher = fetcher
        self._provider = provider
        self._trusted = tuple(trusted)

    @property
    def offers(self) -> frozenset[str]:
        """See :class:`freehold.ports.web.Web`."""
        there = {WEB_FETCH: self._fetcher, WEB_SEARCH: self._provider}
        return frozenset(name for name, part in there.items() if part is not None)

    async def fetch(self, url: str, rules: DomainRules, *, longest: int) -> Page:
        """See :meth:`freehold.ports.web.Web.fetch`."""
        if self._fetcher is None:
            raise WebError("unavailable", "this server does not fetch pages.")
        return await self._fetcher.fetch(url, rules, longest=longest)

    async def search(
        self,
        query: str,
        rules: DomainRules,
        *,
        location: Json | None = None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """See :meth:`freehold.ports.web.Web.search`."""
        if self._provider is None:
            raise WebError("unavailable", "this server has no search provider.")
        found = await self._provider.search(query, rules, location, asking)
        return [hit for hit in found if rules.admits(hit.url)][:MOST_HITS]

    async def check(self) -> list[Finding]:
        """See :meth:`freehold.ports.web.Web.check`."""
        detail = "switched off, so agents are not offered it (FREEHOLD_WEB_FETCH)"
        if self._fetcher is not None:
            detail = "public addresses only"
            if self._trusted:
                detail = f"public addresses and {', '.join(map(str, self._trusted))}"
        found = [Finding(WEB_FETCH, "ok", detail)]
        if self._provider is None:
            detail = "no provider, so agents are not offered it (FREEHOLD_WEB_SEARCH)"
            return [*found, Finding(WEB_SEARCH, "ok", detail)]
        return [*found, *await self._provider.check()]

    async def close(self) -> None:
        """See :meth:`freehold.ports.web.Web.close`."""
        if self._provider is not None:
            await self._provider.close()


def build_web(settings: Settings, relay: Relay | None = None) -> ServerWeb:
    """The web that the settings name; ``relay`` takes the requests of ``web_search`` by a model.

    Raises:
        ConfigurationError: a provider lacks its URL or key, or the certificates are unusable.
    """
    trusted = [parse_network(text) for text in settings.trusted_networks]
    fetcher = None
    if settings.web_fetch:
        fetcher = Fetcher(
            GuardedNetwork(trusted), Converter(), tls.context(settings.extra_ca_certs)
        )
    return ServerWeb(fetcher, _provider(settings, relay), trusted)


def _provider(settings: Settings, relay: Relay | None) -> SearchProvider | None:
    url = settings.web_search_url
    match settings.web_search:
        case "none":
            return None
        case "scripted":
            return Scripted.load(Path(url).expanduser() if url else None)
        case "upstream":
            if relay is None:
                raise ConfigurationError(
                    "FREEHOLD_WEB_SEARCH=upstream needs a model that takes clients' own requests"
                )
            return Upstream(relay, settings.web_search_model)
        case "searxng":
            if url is None:
                raise ConfigurationError(
                    "FREEHOLD_WEB_SEARCH=searxng needs FREEHOLD_WEB_SEARCH_URL"
                )
            return SearXNG(url, tls.context(settings.extra_ca_certs))
        case "brave":
            return Brave(url, _key(settings), tls.context(settings.extra_ca_certs))
        case "tavily":
            return Tavily(url, _key(settings), tls.context(settings.extra_ca_certs))


def _key(settings: Settings) -> str:
    key = settings.web_search_api_key
    if key is None or not key.get_secret_value().strip():
        raise ConfigurationError(
            f"FREEHOLD_WEB_SEARCH={settings.web_search} needs FREEHOLD_WEB_SEARCH_API_KEY"
        )
    return key.get_secret_value().strip()
