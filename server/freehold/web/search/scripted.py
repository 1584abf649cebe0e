"""Searches without a network: the same results for the same query, always."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from freehold.core.events import Json
from freehold.core.web_rules import DomainRules
from freehold.errors import ConfigurationError
from freehold.ports.sandbox import Finding
from freehold.ports.web import Asking, Hit

MADE_UP = 12
_WORD = re.compile(r"\w+")
_Text = Annotated[str, StringConstraints(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: _Text
    title: _Text
    text: _Text


_ENTRIES = TypeAdapter(list[_Entry])


class Scripted:
    """Results from a list, those with the most words of the query first; or made-up ones.

    Args:
        entries: The list; None makes results up.
    """

    name = "scripted"

    def __init__(self, entries: list[Hit] | None = None) -> None:
        self._entries = entries

    @classmethod
    def load(cls, path: Path | None) -> Scripted:
        """With the results of a YAML file: a list of ``url``, ``title`` and ``text``.

        Raises:
            ConfigurationError: the file is not that.
        """
        if path is None:
            return cls()
        try:
            entries = _ENTRIES.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"FREEHOLD_WEB_SEARCH_URL: {path}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigurationError(
                f"FREEHOLD_WEB_SEARCH_URL: {path}: {place}: {first['msg']}"
            ) from None
        return cls([Hit(url=entry.url, title=entry.title, text=entry.text) for entry in entries])

    async def search(
        self,
        query: str,
        rules: DomainRules,
        location: Json | None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """See :meth:`freehold.web.search.provider.SearchProvider.search`."""
        words = [word.casefold() for word in _WORD.findall(query)]
        if self._entries is None:
            return _made_up(query, "-".join(words) or "nothing", rules)
        scored = [
            (-sum(word in f"{hit.title} {hit.text}".casefold() for word in words), place, hit)
            for place, hit in enumerate(self._entries)
        ]
        return [hit for score, _, hit in sorted(scored, key=lambda one: one[:2]) if score]

    async def check(self) -> list[Finding]:
        """It is always there."""
        kind = "made-up results" if self._entries is None else f"{len(self._entries)} results"
        return [Finding("web_search", "ok", f"scripted, {kind}; no network")]

    async def close(self) -> None:
        """Nothing to let go of."""


def _made_up(query: str, slug: str, rules: DomainRules) -> list[Hit]:
    # Within what is allowed, so that rules can be rehearsed too.
    domains = rules.allowed or ("example.com", "example.org")
    return [
        Hit(
            url=f"https://{domains[number % len(domains)].rstrip('/')}/{slug}/{number + 1}",
            title=f"Result {number + 1} for {query}",
            text=f"A passage about {query}, made up offline (number {number + 1}).",
        )
        for number in range(MADE_UP)
    ]
