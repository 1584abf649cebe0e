"""The web as the server reaches it for agents: pages and searches (spec 12.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from freehold.core.events import Json, ModelUsage
from freehold.core.web_rules import DomainRules
from freehold.ports.sandbox import Finding


@dataclass(frozen=True)
class Page:
    """What was read at an address.

    Attributes:
        url: Where it was found in the end, after redirects.
        title: The document's own, or the address if it has none.
        text: Markdown of an HTML page, the text of a PDF, any other text as it is.
    """

    url: str
    title: str
    text: str


@dataclass(frozen=True)
class Hit:
    """One result of a search."""

    url: str
    title: str
    text: str


@dataclass(frozen=True)
class Asking:
    """For whom a search is made: some providers ask a model, and that has its price.

    Attributes:
        model: The model of the session.
        spent: Told of each model request that was made, whatever came of the search.
    """

    model: str
    spent: Callable[[str, ModelUsage], None]


class Web(Protocol):
    """Fetches pages and searches; never reaches inward on an agent's behalf."""

    @property
    def offers(self) -> frozenset[str]:
        """Which of ``web_fetch`` and ``web_search`` are configured."""
        ...

    async def fetch(self, url: str, rules: DomainRules, *, longest: int) -> Page:
        """Read a page; of its text no more than ``longest`` characters.

        ``rules`` and the guard against inward connections hold for every redirect too.

        Raises:
            WebError: nothing can be had; the message is for the model.
        """
        ...

    async def search(
        self,
        query: str,
        rules: DomainRules,
        *,
        location: Json | None = None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """At most ten results, best first, none that ``rules`` forbids.

        Raises:
            WebError: the provider failed; the message is for the model and has no secret in it.
        """
        ...

    async def check(self) -> list[Finding]:
        """What is configured and whether it answers; never raises, costs no money."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
