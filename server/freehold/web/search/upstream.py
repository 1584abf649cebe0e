"""The Messages API's own ``web_search``, asked by one small request beside the conversation."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import orjson

from freehold.core.events import Json
from freehold.core.model_search import SearchAnswer, read_search, search_request
from freehold.core.web_rules import DomainRules
from freehold.errors import ModelError, WebError, WebErrorCode
from freehold.ports.model import Relay, Relayed
from freehold.ports.sandbox import Finding
from freehold.ports.web import Asking, Hit

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for the whole of it: a model asks, reads and quotes."""
LARGEST_ANSWER = 10 * 1024 * 1024
"""Bytes; the pages come along, encrypted."""
LONGEST_QUERY = 2_000
"""Characters."""
_SHOWN = 500

_HEADERS = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
_CODES: dict[str, WebErrorCode] = {
    "invalid_tool_input": "invalid_tool_input",
    "query_too_long": "query_too_long",
    "too_many_requests": "too_many_requests",
}
"""Those of the API's codes that tell the agent something; it has no part in the others."""


class Upstream:
    """Searches where the session's model is asked, or where ``model`` is.

    Args:
        relay: Takes requests to the model's server, with the server's own key.
        model: Who searches; ``None``: the model of each session.
    """

    name = "upstream"

    def __init__(self, relay: Relay, model: str | None = None, patience: float = PATIENCE) -> None:
        self._relay = relay
        self._model = model
        self._patience = patience

    async def search(
        self,
        query: str,
        rules: DomainRules,
        location: Json | None,
        asking: Asking | None = None,
    ) -> list[Hit]:
        """See :meth:`freehold.web.search.provider.SearchProvider.search`."""
        model = self._model or (asking.model if asking else None)
        if model is None:
            raise WebError("unavailable", "there is no model to search with.")
        if len(query) > LONGEST_QUERY:
            raise WebError(
                "query_too_long", f"the query is longer than {LONGEST_QUERY} characters."
            )
        answer = await self._ask(search_request(model, query, rules, location))
        if asking is not None:
            asking.spent(model, answer.usage)
        if answer.error is not None:
            code = _CODES.get(answer.error, "unavailable")
            raise WebError(code, f"the model's search ended with {answer.error[:100]}.")
        if not answer.searched:
            raise WebError("unavailable", "the model that was to search did not.")
        return [Hit(url=one.url, title=one.title, text=one.text) for one in answer.results]

    async def check(self) -> list[Finding]:
        """Asking costs money, so only that it is configured."""
        who = self._model or "each agent's own model"
        detail = f"upstream, by {who} (not tried: asking costs)"
        return [Finding("web_search", "ok", detail)]

    async def close(self) -> None:
        """Nothing: the connections are the model's."""

    async def _ask(self, body: Json) -> SearchAnswer:
        try:
            async with asyncio.timeout(self._patience):
                relayed = await self._relay.relay("/v1/messages", orjson.dumps(body), _HEADERS)
                try:
                    return await _read(relayed)
                finally:
                    await relayed.close()
        except TimeoutError:
            raise WebError("unavailable", "the search took too long.") from None
        except orjson.JSONEncodeError:
            raise WebError("invalid_tool_input", "query: it is not valid Unicode.") from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise WebError(
                "unavailable", f"the answer to the search broke off ({type(error).__name__})."
            ) from None
        except ModelError as error:
            # Its message is for the operator: it may name hosts and settings.
            log.warning("no search by %s: %s", body["model"], error.message)
            raise WebError(
                "too_many_requests" if error.kind == "rate_limited" else "unavailable",
                f"the model's server cannot be asked to search ({error.kind}).",
            ) from None


async def _read(relayed: Relayed) -> SearchAnswer:
    data = bytearray()
    async for piece in relayed.body:
        data += piece
        if len(data) > LARGEST_ANSWER:
            raise WebError("unavailable", "the answer to the search is too large.")
    if relayed.status == 429:
        raise WebError("too_many_requests", "the model's server asks for a pause.")
    if relayed.status != 200:
        shown = data[:_SHOWN].decode("utf-8", "replace")
        log.warning("a search was answered with status %d: %s", relayed.status, shown)
        raise WebError(
            "unavailable", f"the model's server does not search (status {relayed.status})."
        )
    try:
        return read_search(orjson.loads(data))
    except ValueError:
        raise WebError("unavailable", "the answer to the search cannot be read.") from None
