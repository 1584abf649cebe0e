"""One call of a web tool: run by the server itself, without a sandbox (spec 12.6)."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from freehold.core.catalog import Catalog
from freehold.core.decide import tool_error, tool_result
from freehold.core.drafts import Draft
from freehold.core.events import Content, Json, ModelUsage
from freehold.core.state import OpenCall
from freehold.core.url_sources import normal, shown
from freehold.core.web_rules import WEB_FETCH, WEB_TOOLS, DomainRules, web_config
from freehold.core.web_tools import document, longest_text, search_result
from freehold.errors import WebError
from freehold.harness.sessions import SessionHandle
from freehold.harness.side_requests import model_asked
from freehold.ports.log import EventLog
from freehold.ports.web import Asking, Web

log = logging.getLogger(__name__)

SHORTEST_QUERY = 2
NOTHING_FOUND = "No results were found."


def is_web_call(call: OpenCall) -> bool:
    """Whether the server runs this call itself."""
    return call.kind == "builtin" and call.name in WEB_TOOLS


class WebTools:
    """Runs the calls of sessions to the web tools.

    A call that a dead server left open is simply made again: reading twice changes nothing.
    """

    def __init__(self, web: Web, log: EventLog, catalog: Catalog) -> None:
        self._web = web
        self._log = log
        self._catalog = catalog

    async def run(self, handle: SessionHandle, call: OpenCall) -> list[Draft]:
        """Run the call; cancelling it ends the connection. Never raises for what it finds."""
        spent: list[Draft] = []
        return [*await self._result(handle, call, spent), *spent]

    async def _result(
        self, handle: SessionHandle, call: OpenCall, spent: list[Draft]
    ) -> list[Draft]:
        what = "Web fetch" if call.name == WEB_FETCH else "Web search"
        try:
            content = await self._content(handle, call, spent)
        except WebError as error:
            return [tool_error(call, f"{what} error: {error.code} — {error.message}")]
        except Exception:
            # Pages are made by strangers: what nobody thought of must not end the session.
            log.exception("%s of %s failed", call.name, handle.session_id)
            text = f"{what} error: unavailable — the server could not process the answer."
            return [tool_error(call, text)]
        return [tool_result(call, content, is_error=False)]

    async def _content(self, handle: SessionHandle, call: OpenCall, spent: list[Draft]) -> Content:
        spec = await handle.spec()
        config = web_config(spec.agent["tools"], call.name)
        if config is None or call.name not in self._web.offers:
            # It was there when the model asked; the server was started anew with other settings.
            raise WebError("unavailable", f"this server does not have {call.name} any more.")
        rules = DomainRules.of(config, spec.environment)
        if call.name == WEB_FETCH:
            return await self._fetch(handle, call, config, rules)
        query = _argument(call, "query")
        if len(query.strip()) < SHORTEST_QUERY:
            raise WebError(
                "invalid_tool_input", f"query: must have at least {SHORTEST_QUERY} characters."
            )

        def note(model: str, usage: ModelUsage) -> None:
            spent.append(model_asked(self._catalog, "search", model, usage))

        hits = await self._web.search(
            query.strip(),
            rules,
            location=config.get("user_location"),
            asking=Asking(spec.agent["model"]["id"], note),
        )
        if not hits:
            return [{"type": "text", "text": NOTHING_FOUND}]
        return [
            search_result(_storable(hit.url), _storable(hit.title), _storable(hit.text))
            for hit in hits
        ]

    async def _fetch(
        self, handle: SessionHandle, call: OpenCall, config: Json, rules: DomainRules
    ) -> Content:
        url = _argument(call, "url")
        sources = config.get("url_sources")
        if sources is not None:
            await self._check_shown(handle, url, sources)
        page = await self._web.fetch(url, rules, longest=longest_text(config))
        if not page.text.strip():
            host = urlsplit(page.url).hostname
            raise WebError("url_not_accessible", f"the page at {host} has no text in it.")
        return document(_storable(page.title), _storable(page.text))

    async def _check_shown(self, handle: SessionHandle, url: str, sources: Json) -> None:
        known = shown(await self._log.read(handle.session_id), sources)
        if normal(url) not in known:
            raise WebError(
                "url_not_in_prior_context",
                "this URL has not appeared in the conversation where this agent may take URLs "
                "from (url_sources).",
            )


def _argument(call: OpenCall, name: str) -> str:
    """The call's one argument.

    Raises:
        WebError: the input is not what the schema says.
    """
    value = call.input.get(name)
    if name not in call.input:
        raise WebError("invalid_tool_input", f"{name}: Field required.")
    if not isinstance(value, str):
        raise WebError("invalid_tool_input", f"{name}: Input should be a valid string.")
    extra = sorted(key for key in call.input if key != name)
    if extra:
        raise WebError("invalid_tool_input", f"{extra[0]}: Extra inputs are not permitted.")
    return value


def _storable(text: str) -> str:
    """Without what databases do not take."""
    return text.replace("\0", "\ufffd")
